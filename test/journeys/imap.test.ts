// What users see of it in a mail client, read back over IMAP: one thread, and attachments under their names.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Member, type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { ANNA, BRUNO, message, submit } from './submission.ts';

interface Seen {
  /** As IMAP writes them: `(1 (2)(3))(4)` (RFC 5256). */
  readonly threads: string;
  readonly messages: Readonly<Record<string, { subject: string; from: string; names: readonly string[] }>>;
}

let network: Network;
let sent: string;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-imap'));
  network = stack.use(await startNetwork(folder.path));
  sent = join(folder.path, 'sent.eml');
  await writeFile(sent, message);
  const arrived = newMail(network.mailboxes);
  let count = 0;
  await submit(network, message);
  await until('envelope and receipts', 60_000, async () => {
    count += (await arrived()).length;
    return count >= 4;
  });
});

/** The INBOX of `user`, to which the client adds what the user sent. */
async function inbox({ plan }: Member, user: string): Promise<Seen> {
  const password = plan.accounts.find(({ address }) => address === user)?.password ?? assert.fail();
  const script = join(import.meta.dirname, 'imap.py');
  const { stdout } = await promisify(execFile)('python3', [
    script,
    String(plan.ports.imap),
    user,
    password,
    sent,
  ]);
  return JSON.parse(stdout);
}

test('the receipts of a message stand in one thread with it', async () => {
  const { threads, messages } = await inbox(network.alfa, ANNA);
  assert.equal(Object.keys(messages).length, 3);
  assert.match(threads, /^\(3 ?\(1\)\(2\)\)$|^\(3 \(2\)\(1\)\)$/);
});

test('attachments have the names that users know', async () => {
  const { messages } = await inbox(network.beta, BRUNO);
  const [envelope] = Object.values(messages);
  assert.deepEqual(envelope?.names.toSorted(), ['daticert.xml', 'postacert.eml', 'smime.p7s']);
  assert.equal(envelope?.from, `"Per conto di: ${ANNA}" <posta-certificata@pec.alfa.example>`);
  const receipts = Object.values((await inbox(network.alfa, ANNA)).messages);
  const [acceptance, delivery] = ['ACCETTAZIONE: Prova', 'CONSEGNA: Prova'].map(subject =>
    receipts.find(one => one.subject === subject),
  );
  assert.deepEqual(acceptance?.names.toSorted(), ['daticert.xml', 'smime.p7s']);
  assert.deepEqual(delivery?.names.toSorted(), ['daticert.xml', 'postacert.eml', 'smime.p7s']);
});
