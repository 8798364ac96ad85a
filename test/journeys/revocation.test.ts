// A provider whose certificate is revoked, on real servers: its mail is refused by the others, and its user hears so. RFC 6109 §2.2.2
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { directoryLdif } from '../../src/demo/ldif.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { certify } from '../../src/demo/pki.ts';
import { until } from '../../src/demo/processes.ts';
import { revocationList } from '../smime/revocation-list.ts';
import { certified, readMail } from './mail.ts';
import { reconfigured } from './reconfigured.ts';
import { ANNA, BRUNO, message, submit } from './submission.ts';

const PATIENCE = 60_000;
let network: Network;
let lists: string;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-revocation'));
  network = stack.use(await startNetwork(folder.path));
  lists = join(folder.path, 'revoked.crl');
});

/** Lists of the root and of the authority below it; Alfa's certificate is on it from `since` on, if that is given. */
async function publish(since?: number): Promise<void> {
  const revoked = since === undefined ? [] : [{ certificate: network.alfa.plan.signing, since }];
  const pems = [
    await revocationList({ issuer: authority('root') }),
    await revocationList({ issuer: authority('intermediate'), revoked }),
  ];
  await writeFile(lists, pems.join(''));
}

test('a revoked provider is ordinary: refused, bounced, and told to the user; until then it is certified', async () => {
  await publish();
  await reconfigured(network.beta, settings => {
    settings.trust = { ...settings.trust, revocation: 'require', crls: [lists] };
  });
  const { daemon } = network.beta;

  const arrived = newMail(network.mailboxes);
  const seen: { mailbox: string; kind: string; file: string }[] = [];
  const come = (mailbox: string, kind: string) =>
    until(`${kind} for ${mailbox}`, PATIENCE, async () => {
      seen.push(...(await arrived()));
      return seen.some(one => one.mailbox === mailbox && one.kind === kind);
    });
  await submit(network, message);
  await come(ANNA, 'avvenuta-consegna');

  await publish(Date.now() - 60_000);
  assert.ok(daemon.pid !== undefined);
  process.kill(daemon.pid, 'SIGHUP');
  await until('the reload', PATIENCE, async () =>
    (await readFile(daemon.program.log, 'utf8')).includes('reloaded'),
  );
  seen.length = 0;
  await submit(network, message.replace('client-1', 'client-2'));
  await come(ANNA, 'errore-consegna');
  const failure = seen.find(({ kind }) => kind === 'errore-consegna');
  const mail = await readMail(failure?.file ?? assert.fail(), network.anchors);
  assert.deepEqual(certified(mail, 'dati/consegna'), [BRUNO]);
  assert.deepEqual(certified(mail, 'dati/errore-esteso'), ['5.7.1 - Alfa PEC - errore di consegna']);
  assert.ok(!seen.some(({ mailbox }) => mailbox === BRUNO));
});

test('a provider whose certificate has expired is ordinary, though the directory has it', async () => {
  const { alfa, beta } = network;
  const { name, address, directory, domain, serviceMailbox } = alfa.plan;
  const validity = { from: Date.now() - 7_200_000, to: Date.now() - 3_600_000 };
  const expired = await certify({
    directory: dirname(network.anchors),
    file: 'expired',
    subject: { C: 'IT', O: name, CN: 'Posta Certificata' },
    key: 'rsa:2048',
    extensions: ['keyUsage=critical,digitalSignature', `subjectAltName=email:${address}`],
    issuer: authority('intermediate'),
    validity,
  });
  const der = new X509Certificate(await readFile(expired.certificate)).raw;
  await appendFile(expired.certificate, await readFile(authority('intermediate').certificate));
  const entry = { name, mailReceipt: serviceMailbox, domains: [domain], certificates: [der] };
  await appendFile(directory, `\n${providerEntry(directoryLdif([entry]))}`);
  // The usual certificate is not revoked any more: what follows has one reason.
  await publish();
  await reconfigured(beta, settings => assert.ok(settings.trust?.revocation === 'require'));
  await reconfigured(alfa, settings => {
    settings.signing = { certificate: expired.certificate, key: expired.key };
  });
  const arrived = newMail(network.mailboxes);
  await arrived();
  await submit(network, message.replace('client-1', 'client-3'));
  const kinds: string[] = [];
  await until('the non-delivery', PATIENCE, async () => {
    for (const { mailbox, kind } of await arrived()) kinds.push(`${mailbox} ${kind}`);
    return kinds.includes(`${ANNA} errore-consegna`);
  });
  assert.deepEqual(
    kinds.filter(kind => kind.startsWith(BRUNO)),
    [],
  );
});

function authority(name: 'root' | 'intermediate') {
  const files = join(dirname(network.anchors), name);
  return { certificate: `${files}.crt`, key: `${files}.key` };
}

function providerEntry(ldif: string): string {
  return ldif.slice(ldif.indexOf('dn: providerName'));
}
