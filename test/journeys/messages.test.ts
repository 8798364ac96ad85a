// The first journey on real servers, message by message: what stands in every file that was delivered.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { type Arrival, newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { type Instant, legalTime } from '../../src/pec/values.ts';
import { certified, fields, type Mail, readMail, validate } from './mail.ts';

const ANNA = 'anna@pec.alfa.example';
const BRUNO = 'bruno@pec.beta.example';
const CARLA = 'carla@pec.beta.example';
const MARIO = 'mario@ordinary.example';
const ALFA = 'posta-certificata@pec.alfa.example';
const BETA = 'posta-certificata@pec.beta.example';
const MSGID = '<client-1@pec.alfa.example>';
const SUBJECT = 'Città & "prezzi" in €';

const attachment = randomBytes(1_000_000).toString('base64').replace(/.{76}/g, '$&\r\n');
/** Odd on purpose: what is not the Message-ID must come through as it is. */
const submitted = [
  'received: from laptop.pec.alfa.example\r\n\tby nowhere.example; Thu, 1 Jan 2026 00:00:00 +0100',
  'From:   "Rossi, Anna"   <anna@pec.alfa.example>',
  'TO: Bruno <bruno@pec.beta.example>,\r\n mario@ordinary.example',
  'Cc: carla@pec.beta.example (Carla)',
  `Message-id: ${MSGID}`,
  'Subject: =?utf-8?q?Citt=C3=A0_=26_=22prezzi=22?= in =?utf-8?B?4oKs?=',
  'X-Odd:  two  blanks ',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="b"',
  '',
  'preamble',
  '--b',
  'Content-Type: text/plain',
  '',
  '.a line with a dot',
  '..two',
  'trailing blanks   ',
  '--b',
  'Content-Type: application/octet-stream; name="a.bin"',
  'Content-Transfer-Encoding: base64',
  '',
  attachment,
  '--b--',
  'epilogue',
  '',
].join('\r\n');

let network: Network;
const mails = new Map<string, { arrival: Arrival; mail: Mail }>();
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-messages'));
  network = stack.use(await startNetwork(folder.path));
  const { plan } = network.alfa;
  const password = plan.accounts.find(({ address }) => address === ANNA)?.password ?? assert.fail();
  await createTransport({
    host: '127.0.0.1',
    port: plan.ports.submission,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
    auth: { user: ANNA, pass: password },
  }).sendMail({ envelope: { from: ANNA, to: [BRUNO, MARIO, CARLA] }, raw: submitted });
  const arrived = newMail(network.mailboxes);
  await until('seven messages', 60_000, async () => {
    network.assertAlive();
    for (const arrival of await arrived()) {
      const mail = await readMail(arrival.file, network.anchors);
      const about = arrival.kind === 'avvenuta-consegna' ? ` ${certified(mail, 'dati/consegna')}` : '';
      mails.set(`${arrival.mailbox} ${arrival.kind}${about}`, { arrival, mail });
    }
    return mails.size >= 7;
  });
});

const envelopes = [BRUNO, CARLA, MARIO].map(mailbox => `${mailbox} posta-certificata`);
const acceptance = `${ANNA} accettazione`;
const complete = `${ANNA} avvenuta-consegna ${BRUNO}`;
const concise = `${ANNA} avvenuta-consegna ${CARLA}`;
const taken = 'ricevute@pec.alfa.example presa-in-carico';
const all = [...envelopes, acceptance, complete, concise, taken];

function mailAt(name: string): Mail {
  return mails.get(name)?.mail ?? assert.fail(`${name} did not come`);
}

function only(mail: Mail, name: string): string {
  const values = fields(mail, name);
  assert.equal(values.length, 1, `${name}: ${values}`);
  return values[0] ?? '';
}

test('every message came, and none beside', () => assert.deepEqual([...mails.keys()].sort(), all.sort()));

for (const name of all) {
  test(`${name}: signed with SHA-256, valid XML, one instant everywhere (§4.1)`, async () => {
    const mail = mailAt(name);
    assert.equal(mail.signature?.digest, 'sha256');
    await validate(mail.xml ?? assert.fail());
    assert.equal(mail.signature.time, mail.date);
    const { date, time, zone } = legalTime((mail.date * 1000) as Instant);
    assert.deepEqual(
      [certified(mail, 'dati/data/giorno'), certified(mail, 'dati/data/ora')],
      [[date], [time]],
    );
    assert.match(mail.xml ?? '', new RegExp(`<data zona="${zone.replace('+', '\\+')}">`));
    const words = `Il giorno ${date} alle ore ${time} (${zone})`;
    assert.ok(mail.text?.includes(words) && mail.html?.includes(words), mail.text);
  });

  test(`${name}: parts in their order`, () => {
    const text = [
      'multipart/alternative',
      [
        ['text/plain', null],
        ['text/html', null],
      ],
    ];
    const data = ['application/xml', 'daticert.xml'];
    const original = ['message/rfc822', 'postacert.eml'];
    const carries = envelopes.includes(name) || name === complete;
    assert.deepEqual(mailAt(name).structure, [
      'multipart/mixed',
      carries ? [text, data, original] : [text, data],
    ]);
  });

  test(`${name}: refers to the client's message, and to the same PEC msgid`, () => {
    const mail = mailAt(name);
    const pecMsgid = only(mailAt(envelopes[0] ?? ''), 'Message-ID').slice(1, -1);
    assert.match(pecMsgid, /^[A-Za-z0-9]+@pec\.alfa\.example$/);
    assert.equal(only(mail, 'X-Riferimento-Message-ID'), MSGID);
    assert.deepEqual(certified(mail, 'dati/identificativo'), [pecMsgid]);
    assert.deepEqual(certified(mail, 'dati/msgid'), [MSGID]);
    assert.ok(mail.text?.includes(`Identificativo messaggio: ${pecMsgid}`));
    const threads = envelopes.includes(name) ? [] : [MSGID];
    assert.deepEqual(fields(mail, 'In-Reply-To'), threads);
  });

  test(`${name}: the certified sender, recipients and subject`, () => {
    const mail = mailAt(name);
    assert.deepEqual(certified(mail, 'intestazione/mittente'), [ANNA]);
    assert.deepEqual(certified(mail, 'intestazione/destinatari'), [BRUNO, MARIO, CARLA]);
    assert.deepEqual(certified(mail, 'intestazione/risposte'), [ANNA]);
    assert.deepEqual(certified(mail, 'intestazione/oggetto'), [SUBJECT]);
    const kinds = [...(mail.xml ?? '').matchAll(/<destinatari tipo="(.*?)">/g)].map(([, kind]) => kind);
    assert.deepEqual(kinds, ['certificato', 'esterno', 'certificato']);
  });
}

for (const name of envelopes)
  test(`${name}: the header of a transport envelope (§3.1.5)`, () => {
    const mail = mailAt(name);
    assert.equal(only(mail, 'X-Trasporto'), 'posta-certificata');
    assert.equal(only(mail, 'Subject'), `POSTA CERTIFICATA: ${SUBJECT}`);
    assert.equal(only(mail, 'From'), `"Per conto di: ${ANNA}" <${ALFA}>`);
    assert.equal(only(mail, 'Reply-To'), ANNA);
    assert.equal(only(mail, 'To'), `Bruno <${BRUNO}>, ${MARIO}`);
    assert.match(only(mail, 'Cc'), /^carla@pec\.beta\.example/);
    assert.equal(only(mail, 'X-TipoRicevuta'), 'completa');
    assert.equal(fields(mail, 'Sender').length, 0);
    assert.ok(fields(mail, 'Received').some(value => value.includes('laptop.pec.alfa.example')));
    assert.deepEqual(mail.certified?.[1], { tipo: 'posta-certificata', errore: 'nessuno' });
  });

test('routing data of the envelope are those of the submission', () => {
  assert.equal(only(mailAt(`${BRUNO} posta-certificata`), 'Return-Path'), `<${ANNA}>`);
});

const receipts: [string, string, string, string, string][] = [
  [acceptance, 'accettazione', 'ACCETTAZIONE: ', ALFA, ANNA],
  [complete, 'avvenuta-consegna', 'CONSEGNA: ', BETA, ANNA],
  [concise, 'avvenuta-consegna', 'CONSEGNA: ', BETA, ANNA],
  [taken, 'presa-in-carico', 'PRESA IN CARICO: ', BETA, 'ricevute@pec.alfa.example'],
];
for (const [name, kind, prefix, author, to] of receipts)
  test(`${name}: the header of a receipt`, () => {
    const mail = mailAt(name);
    assert.equal(only(mail, 'X-Ricevuta'), kind);
    assert.equal(only(mail, 'Subject'), prefix + SUBJECT);
    assert.equal(only(mail, 'From'), author);
    assert.equal(only(mail, 'To'), to);
    assert.equal(only(mail, 'Return-Path'), `<${author}>`);
    assert.notEqual(only(mail, 'Message-ID'), MSGID);
    assert.deepEqual(mail.certified?.[1], { tipo: kind, errore: 'nessuno' });
  });

test('the texts', () => {
  assert.match(
    mailAt(acceptance).text ?? '',
    /^Ricevuta di accettazione\n[\s\S]*bruno@pec\.beta\.example \("posta certificata"\)\nmario@ordinary\.example \("posta ordinaria"\)\ncarla/,
  );
  assert.match(
    mailAt(taken).text ?? '',
    /^Ricevuta di presa in carico\n[\s\S]*bruno@pec\.beta\.example\ncarla@pec\.beta\.example\nè stato accettato/,
  );
  assert.match(
    mailAt(complete).text ?? '',
    /^Ricevuta di avvenuta consegna\n[\s\S]*ed indirizzato a "bruno@pec\.beta\.example"\nè stato consegnato/,
  );
  assert.match(mailAt(concise).text ?? '', /^Ricevuta di avvenuta consegna sintetica\n/);
  assert.match(
    mailAt(envelopes[0] ?? '').text ?? '',
    /^Messaggio di posta certificata\n[\s\S]*"Città & "prezzi" in EUR"/,
  );
});

test('§3.2.1 the take-charge names whom Beta took', () => {
  assert.deepEqual(certified(mailAt(taken), 'dati/ricezione'), [BRUNO, CARLA]);
});

test('§2.2.1 the original comes through byte for byte, but for its Message-ID', async () => {
  const pecMsgid = only(mailAt(envelopes[0] ?? ''), 'Message-ID');
  const wrapped = submitted
    .replace(`Message-id: ${MSGID}`, `Message-ID: ${pecMsgid}`)
    .replace('\r\n\r\n', `\r\nX-Riferimento-Message-ID: ${MSGID}\r\n\r\n`);
  for (const name of [...envelopes, complete])
    assert.ok(Buffer.from(mailAt(name).original ?? '', 'base64').equals(Buffer.from(wrapped)), name);
  // The outside mailbox keeps the bytes as they came over the wire, line ends included.
  const raw = await readFile(mails.get(`${MARIO} posta-certificata`)?.arrival.file ?? '');
  assert.ok(raw.includes(wrapped));
});
