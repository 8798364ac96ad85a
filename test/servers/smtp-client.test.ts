// The client and the authenticator against real peers: a private Postfix, and a private Dovecot behind it
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { relayAuthenticator } from '../../src/adapters/authenticator.ts';
import { keeperAt } from '../../src/adapters/smtp-client.ts';
import { maildirOf, startDovecot } from '../../src/demo/dovecot.ts';
import { freePort } from '../../src/demo/ports.ts';
import { startPostfix } from '../../src/demo/postfix.ts';
import { until } from '../../src/demo/processes.ts';
import type { Mailbox } from '../../src/pec/values.ts';
import { Refusal } from '../../src/points/custody.ts';

const ANNA = 'anna@pec.alfa.example' as Mailbox;
const NOBODY = 'nobody@pec.alfa.example' as Mailbox;
const HEADER = 'From: bruno@pec.beta.example\r\nSubject: x\r\n\r\n';

const running = new AsyncDisposableStack();
let folder: string;
let mta: { protocol: 'smtp'; host: string; port: number };
let store: { protocol: 'lmtp'; host: string; port: number };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pecd-client-'));
  running.defer(() => rm(folder, { recursive: true, force: true }));
  // Postfix and Dovecot pass through it as users of their own
  await chmod(folder, 0o755);
  const ports = { lmtp: await freePort(), imap: await freePort(), auth: await freePort() };
  const accounts = [{ address: ANNA, password: 'geheim' }];
  running.use(await startDovecot({ folder: join(folder, 'dovecot'), accounts, ports }));
  const port = await freePort();
  running.use(
    await startPostfix({
      folder: join(folder, 'postfix'),
      hostname: 'mx.alfa.example',
      domains: ['pec.alfa.example'],
      port,
      delivery: ports.lmtp,
      auth: ports.auth,
      routes: [],
    }),
  );
  mta = { protocol: 'smtp', host: '127.0.0.1', port };
  store = { protocol: 'lmtp', host: '127.0.0.1', port: ports.lmtp };
});

after(() => running.disposeAsync());

async function* bytes(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
}

async function mailbox(): Promise<string[]> {
  const inbox = join(maildirOf(join(folder, 'dovecot'), ANNA), 'new');
  const files = await readdir(inbox).catch(() => []);
  return Promise.all(files.map(file => readFile(join(inbox, file), 'latin1')));
}

/** A maildir has LF at its line ends. */
const arrived = async (body: string) =>
  (await mailbox()).some(mail => mail.endsWith(`\n\n${body.replaceAll('\r\n', '\n')}`));

describe('Postfix', () => {
  it('takes what is whole, byte for byte, and nothing of what breaks off', async () => {
    await using keeper = keeperAt(mta, { name: 'pecd.alfa.example' });
    const envelope = { from: 'bruno@pec.beta.example' as Mailbox, to: [ANNA] };
    const broken = (async function* () {
      yield* bytes(HEADER, 'HALF\r\n');
      throw new Refusal('badBytes', 'NUL');
    })();
    await assert.rejects(keeper.deliver(envelope, broken), Refusal);

    const body = `.\r\n..\r\n.. and \xe8\r\n${'y'.repeat(990)}\r\nFrom here\r\n\r\n.end\r\n`;
    const [answer] = await keeper.deliver(envelope, bytes(HEADER, ...body.split(/(?<=\r)/)));
    assert.equal(answer?.code, 250);
    assert.match(answer?.text ?? '', /queued as/);
    await until('the message to arrive', 20_000, () => arrived(body));
    // what came first would have arrived first
    assert.ok((await mailbox()).every(mail => !mail.includes('HALF')));
  });

  it('answers each recipient, and a message from nobody, over one connection', async () => {
    await using keeper = keeperAt(mta, { name: 'pecd.alfa.example' });
    const nowhere = `${'x'.repeat(60)}@nowhere.example` as Mailbox;
    for (const from of ['bruno@pec.beta.example' as Mailbox, null]) {
      const answers = await keeper.deliver({ from, to: [ANNA, nowhere] }, bytes(HEADER, 'twice\r\n'));
      assert.deepEqual(
        answers.map(({ recipient, code, enhanced }) => [recipient, code, enhanced]),
        [
          [ANNA, 250, '2.0.0'],
          [nowhere, 250, '2.0.0'],
        ],
      );
    }
  });
});

describe('Dovecot over LMTP', () => {
  it('stores for one, refuses the other', async () => {
    await using keeper = keeperAt(store, { name: 'pecd.alfa.example' });
    for (const body of ['first\r\n', 'second\r\n']) {
      const answers = await keeper.deliver({ from: null, to: [NOBODY, ANNA] }, bytes(HEADER, body));
      assert.deepEqual(
        answers.map(({ code, enhanced }) => [code, enhanced]),
        [
          [550, '5.1.1'],
          [250, '2.0.0'],
        ],
      );
      assert.ok(await arrived(body));
    }
  });
});

describe('a login at Postfix, which asks Dovecot', () => {
  it('is good or not', async () => {
    const authenticator = relayAuthenticator(mta, { name: 'pecd.alfa.example' });
    assert.equal(await authenticator.check(ANNA, 'geheim'), true);
    assert.equal(await authenticator.check(ANNA, 'wrong'), false);
  });
});
