// What a mail store can answer, and what the sender hears of it: the delivery point before an LMTP server that does as it is told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { certified, type Mail, readMail } from './mail.ts';
import { reconfigured } from './reconfigured.ts';
import { ANNA, BRUNO, message, submit } from './submission.ts';

const PATIENCE = 60_000;
let network: Network;
let arrived: ReturnType<typeof newMail>;
/** How often each mailbox was offered a message, final dot included. */
const offered = new Map<string, number>();
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-mail-store'));
  network = stack.use(await startNetwork(folder.path));
  arrived = newMail(network.mailboxes);
  const port = await mailStore();
  await reconfigured(network.beta, settings => {
    settings.delivery = { ...settings.delivery, mailStore: `lmtp://127.0.0.1:${port}` };
    settings.timeouts = { idle: '20s' };
  });
});

/** Obeys the local part of the address: `full`, `disabled` and `always-busy` always; `busy`, `cut-before` and `cut-after` (the dot) once. */
async function mailStore(): Promise<number> {
  const refusal = (code: number, text: string) => Object.assign(new Error(text), { responseCode: code });
  const server = new SMTPServer({
    lmtp: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    onRcptTo({ address }, _session, done) {
      if (address.startsWith('disabled@')) done(refusal(550, '5.2.1 Mailbox disabled'));
      else done();
    },
    onData(stream, { envelope, id }, done) {
      const [to = ''] = envelope.rcptTo.map(({ address }) => address);
      const again = offered.get(to) ?? 0;
      const cut = () => [...server.connections].find(one => one.id === id)?._socket.destroy();
      if (to.startsWith('cut-before@') && again === 0) {
        offered.set(to, 1);
        cut();
        return;
      }
      stream.resume().on('end', () => {
        offered.set(to, again + 1);
        if (to.startsWith('cut-after@') && again === 0) cut();
        else if (to.startsWith('always-busy@')) done(refusal(452, '4.2.2 Over quota for now'));
        else if (to.startsWith('busy@') && again === 0) done(refusal(452, '4.2.2 Over quota for now'));
        else if (to.startsWith('full@')) done(refusal(552, '5.2.2 Quota exceeded'));
        else done(null);
      });
    },
  });
  server.on('error', () => {});
  const listening = once(server.server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  stack.defer(() => new Promise<void>(closed => server.close(closed)));
  const address = server.server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** Sends to the mailbox; resolves to the outcomes that Anna hears of until her next message has come through as well. */
async function outcomesOf(local: string): Promise<readonly { kind: string; mail: Mail }[]> {
  const to = `${local}@pec.beta.example`;
  await submit(network, message.replace(BRUNO, to), [to]);
  const outcomes: { kind: string; mail: Mail }[] = [];
  const hear = (about: string) => async () => {
    for (const { mailbox, kind, file } of await arrived()) {
      if (mailbox !== ANNA || !/consegna$/.test(kind)) continue;
      outcomes.push({ kind, mail: await readMail(file, network.anchors) });
    }
    return outcomes.some(({ mail }) => certified(mail, 'dati/consegna')[0] === about);
  };
  await until(`the outcome for ${to}`, PATIENCE, hear(to));
  // Receipts are sent in turn: a second one for the first message would come before that of this one.
  const later = `after-${local}@pec.beta.example`;
  await submit(network, message.replace(BRUNO, later), [later]);
  await until(`the outcome for ${later}`, PATIENCE, hear(later));
  return outcomes.filter(({ mail }) => certified(mail, 'dati/consegna')[0] === to);
}

const permanent: [string, string][] = [
  ['full', '5.2.2 - Beta PEC - casella piena'],
  ['disabled', '5.2.1 - Beta PEC - casella non attiva'],
];
for (const [local, extended] of permanent)
  test(`§3.3.3 ${local}: one non-delivery, and no bounce`, async () => {
    const outcomes = await outcomesOf(local);
    assert.deepEqual(
      outcomes.map(({ kind, mail }) => [kind, certified(mail, 'dati/errore-esteso')[0]]),
      [['errore-consegna', extended]],
    );
  });

for (const local of ['busy', 'cut-before', 'cut-after'])
  test(`§3.3.2 ${local}: Postfix tries again, and one delivery receipt comes of it`, async () => {
    const outcomes = await outcomesOf(local);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['avvenuta-consegna'],
    );
    assert.equal(offered.get(`${local}@pec.beta.example`), 2);
  });

test('§2.2.2 always busy: when its time is over, one non-delivery, and Postfix gives up', async () => {
  const outcomes = await outcomesOf('always-busy');
  const told = outcomes.map(({ kind, mail }) => [kind, certified(mail, 'dati/errore-esteso')[0]]);
  assert.deepEqual(told, [['errore-consegna', '5.4.7 - Beta PEC - tempo massimo di giacenza superato']]);
  assert.ok((offered.get('always-busy@pec.beta.example') ?? 0) > 1);
});
