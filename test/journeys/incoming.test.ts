// The incoming point on real servers: what the Internet and a hostile peer may send, and what becomes of it. RFC 6109 §2.2.2, §3.2
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { fields, type Mail, readMail } from './mail.ts';
import { ANNA, BRUNO, message, submit } from './submission.ts';

const PATIENCE = 60_000;
const CARLA = 'carla@pec.beta.example';
const STRANGER = 'someone@ordinary.example';

let network: Network;
let arrived: ReturnType<typeof newMail>;
/** A transport envelope that Bruno has, as it came over the wire. */
let envelope: string;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-incoming'));
  network = stack.use(await startNetwork(folder.path));
  arrived = newMail(network.mailboxes);
  await submit(network, message);
  let file: string | undefined;
  await until('the first journey', PATIENCE, async () => {
    count += (await arrived()).filter(one => {
      if (one.mailbox === BRUNO) file = one.file;
      return true;
    }).length;
    return count >= 4;
  });
  const stored = await readFile(file ?? assert.fail(), 'latin1');
  // What Postfix and Dovecot put on top is not part of what was sent.
  const own = stored.replace(/\r?\n/g, '\r\n');
  envelope = own.slice(own.indexOf('To: '));
});
let count = 0;
/** Where mail came to after the first journey. */
const mailboxes: string[] = [];

/** Hands a message to Beta's incoming point; resolves to the reply to the final dot, rejects with a refusal. */
async function send(raw: string, from: string, to: readonly string[] = [BRUNO]): Promise<string> {
  const transport = createTransport({
    host: '127.0.0.1',
    port: network.beta.plan.ports.incoming,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
  });
  const { response } = await transport.sendMail({ envelope: { from, to: [...to] }, raw });
  return response;
}

/** The next message that comes to this mailbox. */
async function next(mailbox: string): Promise<Mail> {
  let file: string | undefined;
  await until(`mail for ${mailbox}`, PATIENCE, async () => {
    for (const one of await arrived()) {
      mailboxes.push(one.mailbox);
      if (one.mailbox === mailbox) file = one.file;
    }
    return file !== undefined;
  });
  return readMail(file ?? assert.fail(), network.anchors);
}

async function assertAnomaly(mailbox: string, reason: RegExp): Promise<void> {
  const mail = await next(mailbox);
  assert.deepEqual(fields(mail, 'X-Trasporto'), ['errore']);
  assert.match(mail.text ?? '', /Tali dati non sono stati certificati per il seguente errore:/);
  assert.match(mail.text ?? '', reason);
  assert.equal(mail.certified, undefined);
  assert.ok(mail.original !== undefined);
}

const ordinary = `From: ${STRANGER}\r\nTo: ${BRUNO}\r\nMessage-ID: <o1@ordinary.example>\r\nSubject: Saluti\r\n\r\nCiao\r\n`;

const refused: [string, () => Promise<string>, RegExp][] = [
  [
    'ordinary mail, as the reverse path tells',
    () => send(ordinary, STRANGER),
    /554 5\.7\.1 <bruno@.*rifiutato/,
  ],
  ['a PEC reverse path without a signature', () => send(ordinary, ANNA), /554 5\.7\.1 <bruno@.*rifiutato/],
  ['from nobody, and no bounce of ours', () => send(ordinary, ''), /554 5\.7\.1 <bruno@.*rifiutato/],
  [
    'forged markers on ordinary mail',
    () => send(`X-Trasporto: posta-certificata\r\nX-Ricevuta: avvenuta-consegna\r\n${ordinary}`, ANNA),
    /554 5\.7\.1/,
  ],
  ['a changed byte under the signature', () => send(envelope.replace('Testo', 'Testa'), ANNA), /554 5\.7\.1/],
  [
    'an open relay',
    () => send(ordinary, STRANGER, ['x@elsewhere.example']),
    /550 5\.7\.1 .*no mailbox of this/,
  ],
];
for (const [name, attempt, reply] of refused)
  test(`§2.2.2 refused: ${name}`, async () => {
    await assert.rejects(attempt(), error => error instanceof Error && reply.test(error.message));
  });

test('§3.2.2 a replayed envelope, to another recipient: an anomaly envelope and no receipt', async () => {
  assert.match(await send(envelope, ANNA, [CARLA]), /^250/);
  await assertAnomaly(CARLA, /destinatario non compreso tra quelli certificati/);
});

test('§3.2.2 a replayed envelope, from another sender', async () => {
  assert.match(await send(envelope, 'x@pec.alfa.example'), /^250/);
  await assertAnomaly(BRUNO, /mittente diverso da quello certificato/);
});

test('§3.2.2 good signature, another Message-ID', async () => {
  assert.match(await send(envelope.replace(/^Message-ID: .*$/m, 'Message-ID: <x@y.example>'), ANNA), /^250/);
  await assertAnomaly(BRUNO, /Message-ID diverso da quello certificato/);
});

test('§2.2.2 the same envelope again: delivered again, and no second receipt of any kind', async () => {
  assert.match(await send(envelope, ANNA), /^250/);
  const mail = await next(BRUNO);
  assert.deepEqual(fields(mail, 'X-Trasporto'), ['posta-certificata']);
  const told = JSON.parse(await network.alfa.pecd('track', '--json', '<client-1@pec.alfa.example>'));
  const [tracked] = told.messages;
  assert.deepEqual(tracked.recipients[0].state, 'delivered');
});

test('§3.2.2 open and closed mailboxes: each its answer at RCPT; the open one gets an anomaly envelope', async () => {
  await network.beta.pecd('mailbox', 'open', BRUNO);
  assert.match(await send(ordinary, STRANGER, [BRUNO, CARLA]), /^250/);
  await assertAnomaly(BRUNO, /il messaggio non è firmato digitalmente/);
  await assert.rejects(send(ordinary, ANNA, [BRUNO, CARLA]), /554 5\.7\.1 <carla@/);
});

test('a PEC message forwarded inside an ordinary one is ordinary', async () => {
  const forwarded = `From: ${STRANGER}\r\nTo: ${BRUNO}\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n${envelope}`;
  assert.match(await send(forwarded, STRANGER), /^250/);
  await assertAnomaly(BRUNO, /il messaggio non è firmato digitalmente/);
});

test('nothing of all this earned Anna or her provider a receipt', async () => {
  // A message of her own, there and back: what was going to come before it has come.
  const before = mailboxes.length;
  await submit(network, message.replace('client-1', 'client-2'));
  await until('her own receipts', PATIENCE, async () => {
    for (const { mailbox } of await arrived()) mailboxes.push(mailbox);
    return mailboxes.length - before >= 4;
  });
  assert.ok(mailboxes.length >= 6);
  assert.deepEqual(mailboxes.filter(mailbox => mailbox !== BRUNO && mailbox !== CARLA).sort(), [
    ANNA,
    ANNA,
    'ricevute@pec.alfa.example',
  ]);
});
