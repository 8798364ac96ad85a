// The exceptions of RFC 6109 on real servers: notices, viruses, unknown mailboxes and domains, silence, brief receipts.
import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { directoryLdif } from '../../src/demo/ldif.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { freePort } from '../../src/demo/ports.ts';
import { until } from '../../src/demo/processes.ts';
import { EICAR, startClamd } from '../clamd.ts';
import { certified, fields, type Mail, readMail, validate } from './mail.ts';
import { reconfigured } from './reconfigured.ts';
import { ANNA, BRUNO, message, submit, submitAs } from './submission.ts';

const PATIENCE = 60_000;
const CARLA = 'carla@pec.beta.example';
const NOBODY = 'nobody@pec.beta.example';
const GAMMA = 'dora@pec.gamma.example';
const SERVICE = 'ricevute@pec.alfa.example';

let network: Network;
let arrived: ReturnType<typeof newMail>;
const waiting: { mailbox: string; kind: string; mail: Mail }[] = [];
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-exceptions'));
  network = stack.use(await startNetwork(folder.path));
  arrived = newMail(network.mailboxes);
  // A third provider whom no server leads to.
  const entries = { name: 'Gamma PEC', mailReceipt: 'r@pec.gamma.example', domains: ['pec.gamma.example'] };
  const gamma = directoryLdif([{ ...entries, certificates: [] }]);
  await appendFile(network.alfa.plan.directory, `\n${gamma.slice(gamma.indexOf('dn: providerName'))}`);
  const clamd = { folder: join(folder.path, 'clamd'), port: await freePort() };
  stack.use(await startClamd(clamd));
  await reconfigured(network.alfa, settings => {
    settings.timeouts = { firstNotice: '3s', secondNotice: '6s' };
  });
  await reconfigured(network.beta, settings => {
    settings.antivirus = { clamd: `tcp://127.0.0.1:${clamd.port}` };
  });
});

/** The next message of this kind in this mailbox, about that recipient or PEC msgid if one is given. */
async function next(mailbox: string, kind: string, about?: string): Promise<Mail> {
  let found: Mail | undefined;
  await until(`${kind} for ${mailbox}`, PATIENCE, async () => {
    for (const arrival of await arrived()) {
      const mail = await readMail(arrival.file, network.anchors);
      if (mail.xml !== undefined) await validate(mail.xml);
      waiting.push({ mailbox: arrival.mailbox, kind: arrival.kind, mail });
    }
    const fits = (one: (typeof waiting)[number]) =>
      one.mailbox === mailbox &&
      one.kind === kind &&
      (about === undefined || concerned(one.mail).includes(about));
    const index = waiting.findIndex(fits);
    if (index >= 0) [found] = waiting.splice(index, 1).map(({ mail }) => mail);
    return found !== undefined;
  });
  return found ?? assert.fail();
}

/** The recipients and the message that a receipt is about. */
function concerned(mail: Mail): readonly (string | null)[] {
  return ['dati/consegna', 'dati/ricezione', 'dati/identificativo'].flatMap(path => certified(mail, path));
}

/** The PEC msgid that the reply to a submission names. */
function accepted(reply: string): string {
  return /^250 2\.0\.0 Ok: (\S+)$/.exec(reply)?.[1] ?? assert.fail(reply);
}

function extended(mail: Mail): string {
  return certified(mail, 'dati/errore-esteso')[0] ?? '';
}

/** A message after those before it, all the way there and back: what was going to come has come. */
async function nextJourney(): Promise<void> {
  const pecMsgid = accepted(await submit(network, message));
  await next(ANNA, 'accettazione', pecMsgid);
  await next(BRUNO, 'posta-certificata', pecMsgid);
  await next(ANNA, 'avvenuta-consegna', pecMsgid);
}

test('§3.1.2 a formal exception: 550, and the notice in the mailbox of the author', async () => {
  await assert.rejects(
    submit(network, `Bcc: x@y.example\r\n${message}`),
    /550 5\.6\.0 Formal exception: Bcc/,
  );
  const notice = await next(ANNA, 'non-accettazione');
  assert.deepEqual(fields(notice, 'Subject'), ['AVVISO DI NON ACCETTAZIONE: Prova']);
  assert.deepEqual(notice.certified?.[1], { tipo: 'non-accettazione', errore: 'altro' });
  assert.match(notice.text ?? '', /a causa di campo Bcc valorizzato\.\nIl messaggio non è stato accettato/);
  assert.equal(notice.original, undefined);
});

test('§3.3.3 an unknown mailbox: acceptance, take-charge, non-delivery 5.1.1', async () => {
  const pecMsgid = accepted(await submit(network, message.replace(BRUNO, NOBODY), [NOBODY]));
  await next(ANNA, 'accettazione', pecMsgid);
  const failure = await next(ANNA, 'errore-consegna', pecMsgid);
  assert.equal(extended(failure), '5.1.1 - Beta PEC - indirizzo non valido');
  assert.deepEqual(failure.certified?.[1], { tipo: 'errore-consegna', errore: 'no-dest' });
});

test('§2.2.2 a domain that takes no mail: Postfix bounces, the user gets a non-delivery', async () => {
  const pecMsgid = accepted(await submit(network, message.replace(BRUNO, GAMMA), [GAMMA]));
  await next(ANNA, 'accettazione', pecMsgid);
  const failure = await next(ANNA, 'errore-consegna', pecMsgid);
  assert.equal(extended(failure), '5.1.2 - Alfa PEC - dominio non valido');
  assert.deepEqual(failure.certified?.[1], { tipo: 'errore-consegna', errore: 'no-dominio' });
  await nextJourney();
  assert.ok(!waiting.some(({ kind }) => kind === 'ordinary'), 'the bounce itself is not shown');
});

test('§3.2.3, §3.2.4 a virus that only the other provider finds: told once for each recipient', async () => {
  const to = [BRUNO, CARLA];
  const infected = message.replace(`To: ${BRUNO}`, `To: ${to.join(', ')}`).replace('Testo', EICAR);
  const pecMsgid = accepted(await submit(network, infected, to));
  await next(ANNA, 'accettazione', pecMsgid);
  const told: (string | null)[] = [];
  for (const _ of to) {
    const detection = await next(SERVICE, 'rilevazione-virus', pecMsgid);
    assert.deepEqual(fields(detection, 'X-Mittente'), [ANNA]);
    assert.deepEqual(fields(detection, 'Subject'), ['PROBLEMA DI SICUREZZA: Prova']);
    assert.match(detection.text ?? '', /è stato rilevato un problema di sicurezza Eicar/);
    const failure = await next(ANNA, 'errore-consegna', pecMsgid);
    assert.deepEqual(fields(failure, 'X-VerificaSicurezza'), ['errore']);
    assert.deepEqual(fields(failure, 'Subject'), ['AVVISO DI MANCATA CONSEGNA PER VIRUS: Prova']);
    assert.deepEqual(failure.certified?.[1], { tipo: 'errore-consegna', errore: 'virus' });
    assert.match(extended(failure), /^5\.5\.1 - Beta PEC - presenza di un virus nel messaggio: Eicar/);
    const words = /è stato rilevato un problema di sicurezza Eicar\S*\.\nIl messaggio non è stato consegnato/;
    assert.match(failure.text ?? '', words);
    told.push(...certified(detection, 'dati/consegna'), ...certified(failure, 'dati/consegna'));
  }
  assert.deepEqual(told.sort(), [BRUNO, BRUNO, CARLA, CARLA]);
  await nextJourney();
  assert.ok(!waiting.some(({ mailbox }) => to.includes(mailbox)), 'Bruno and Carla get nothing');
});

test('§3.1.3 a virus that the own provider finds: 550, stored, and the notice', async () => {
  const infected = message
    .replace(ANNA, BRUNO)
    .replace(`To: ${BRUNO}`, `To: ${ANNA}`)
    .replace('Testo', EICAR);
  await assert.rejects(submitAs(network.beta, BRUNO, infected, [ANNA]), /550 5\.7\.0 Virus found: Eicar/);
  const notice = await next(BRUNO, 'non-accettazione');
  assert.deepEqual(fields(notice, 'X-VerificaSicurezza'), ['errore']);
  assert.deepEqual(fields(notice, 'Subject'), ['AVVISO DI NON ACCETTAZIONE PER VIRUS: Prova']);
  assert.deepEqual(notice.certified?.[1], { tipo: 'non-accettazione', errore: 'virus' });
  const stored = await readdir(join(network.beta.plan.folder, 'virus'), { recursive: true });
  const kept = stored.filter(name => name.endsWith('.eml'));
  const bodies = await Promise.all(
    kept.map(name => readFile(join(network.beta.plan.folder, 'virus', name), 'utf8')),
  );
  assert.ok(bodies.includes(infected), 'the message as it was submitted');
});

test('§3.1.1 fifty recipients, and thirty megabytes for one', async () => {
  const many = Array.from({ length: 49 }, (_, n) => `u${n}@ordinary.example`);
  const to = [BRUNO, ...many];
  const pecMsgid = accepted(
    await submit(network, message.replace(`To: ${BRUNO}`, `To: ${to.join(',\r\n ')}`), to),
  );
  const acceptance = await next(ANNA, 'accettazione', pecMsgid);
  assert.deepEqual(certified(acceptance, 'intestazione/destinatari'), to);
  await next(ANNA, 'avvenuta-consegna', pecMsgid);
  const line = `${'0123456789'.repeat(7)}\r\n`;
  const large = accepted(await submit(network, message + line.repeat(30_000_000 / line.length)));
  await next(ANNA, 'accettazione', large);
  await next(ANNA, 'avvenuta-consegna', large);
});

test('§3.4 a user of ours to another: acceptance, take-charge, delivery', async () => {
  const pecMsgid = accepted(await submit(network, message.replace(BRUNO, SERVICE), [SERVICE]));
  await next(ANNA, 'accettazione', pecMsgid);
  await next(SERVICE, 'presa-in-carico', pecMsgid);
  await next(SERVICE, 'posta-certificata', pecMsgid);
  await next(ANNA, 'avvenuta-consegna', pecMsgid);
});

test('§3.3.2.2 a brief receipt: hashes in place of attachments', async () => {
  const attached = [
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="b"',
    '',
    '--b',
    '',
    'Testo',
    '--b',
    'Content-Type: application/pdf; name="offerta.pdf"',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from('abc').toString('base64'),
    '--b--',
    '',
  ].join('\r\n');
  const pecMsgid = accepted(
    await submit(network, `X-TipoRicevuta: breve\r\n${message.replace('\r\nTesto\r\n', attached)}`),
  );
  await next(BRUNO, 'posta-certificata', pecMsgid);
  const receipt = await next(ANNA, 'avvenuta-consegna', pecMsgid);
  assert.match(receipt.text ?? '', /^Ricevuta di avvenuta consegna breve\n/);
  const original = String(Buffer.from(receipt.original ?? '', 'base64'));
  assert.match(original, /offerta\.pdf\.hash/);
  assert.match(original, /\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n/);
});

test('§3.1.6 a provider that is silent: both notices; its receipts come late, and still reach the user', async () => {
  await network.beta.daemon.stop();
  const pecMsgid = accepted(await submit(network, message));
  const first = await next(ANNA, 'preavviso-errore-consegna', pecMsgid);
  assert.match(extended(first), /^4\.4\.1 - Alfa PEC - /);
  assert.match(first.text ?? '', /nelle prime dodici ore/);
  const second = await next(ANNA, 'preavviso-errore-consegna', pecMsgid);
  assert.match(extended(second), /^5\.4\.1 - Alfa PEC - .*ventiquattro ore/);
  await network.beta.daemon.start();
  await next(BRUNO, 'posta-certificata', pecMsgid);
  await next(ANNA, 'avvenuta-consegna', pecMsgid);
  await nextJourney();
  const again = waiting.filter(
    ({ kind, mail }) => /^preavviso/.test(kind) && concerned(mail).includes(pecMsgid),
  );
  assert.deepEqual(again, [], 'at most one notice of each kind');
});

test('§3.1.6 waits survive a daemon that is killed, and a Redis that comes back empty', async () => {
  await network.beta.daemon.stop();
  const pecMsgid = accepted(await submit(network, message));
  await network.alfa.daemon.kill();
  await network.redis.kill();
  await rm(join(dirname(network.redis.program.log), 'appendonlydir'), { recursive: true });
  await network.redis.start();
  await network.alfa.daemon.start();
  await next(ANNA, 'preavviso-errore-consegna', pecMsgid);
  await next(ANNA, 'preavviso-errore-consegna', pecMsgid);
  await network.beta.daemon.start();
  await next(ANNA, 'avvenuta-consegna', pecMsgid);
});

test('§3.1.2 receipt-only: the client hears 250, and the notice says the rest', async () => {
  await reconfigured(network.alfa, settings => {
    settings.access = { ...settings.access, onFormalException: 'receipt-only' };
  });
  assert.match(
    await submit(network, `Bcc: x@y.example\r\n${message}`),
    /^250 2\.0\.0 Ok, told by receipt: pec/,
  );
  await next(ANNA, 'non-accettazione');
});
