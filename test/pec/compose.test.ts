// Every message we write, byte for byte: compare with the files in golden/ (GOLDEN=write npm run check writes them anew).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  anomalyEnvelope,
  type MessagePlan,
  receipt,
  receiptFormAsked,
  statedFacts,
  transportEnvelope,
  wrappedHeader,
} from '../../src/pec/compose.ts';
import { virusError } from '../../src/pec/delivery.ts';
import { parseHeader } from '../../src/pec/header.ts';
import type { MessageFacts, Receipt } from '../../src/pec/receipts.ts';
import { debtKey } from '../../src/pec/receipts.ts';
import { anomalies } from '../../src/pec/texts.ts';
import { timeoutError } from '../../src/pec/tracking.ts';
import { instant, parseMailbox, parsePecMsgid } from '../../src/pec/values.ts';

const mailbox = (text: string) => parseMailbox(text) ?? assert.fail(text);
const [anna, bruno, mario] = [
  'anna@pec.alfa.example',
  'bruno@pec.beta.example',
  'mario@ordinary.example',
].map(mailbox) as [ReturnType<typeof mailbox>, ReturnType<typeof mailbox>, ReturnType<typeof mailbox>];
const issuer = { name: 'Alfa & figli', address: mailbox('posta-certificata@pec.alfa.example') };
const at = instant(Date.UTC(2024, 11, 4, 23, 2, 10));
const pecMsgid = parsePecMsgid('pec0123456789abcdef@pec.alfa.example') ?? assert.fail();
const submitted = parseHeader(
  [
    'Received: from anna.pec.alfa.example\r\n\tby mx.alfa.example; Thu, 5 Dec 2024 00:02:09 +0100',
    'From: "Rossi, Anna" <anna@pec.alfa.example>',
    'To: =?utf-8?q?Bruno_B?= <bruno@pec.beta.example>,',
    ' mario@ordinary.example',
    'Message-ID: <client-1@alfa.example>',
    'Subject: =?iso-8859-1?q?Citt=E0?= <&> "di" =?utf-8?b?4oKs?=',
    'X-TipoRicevuta: completa',
    '',
  ].join('\r\n'),
);
const about: MessageFacts = {
  pecMsgid,
  sender: anna,
  recipients: [
    { address: bruno, kind: 'certificato' },
    { address: mario, kind: 'esterno' },
  ],
  ...statedFacts(submitted),
};
const owed = { messageId: 'r0123456789@pec.alfa.example', at, to: anna, about };

function golden(name: string, plan: MessagePlan) {
  test(`golden: ${name}`, () => {
    const { header, text, certificationData = '(none)\n', ...rest } = plan;
    const whole = `${header}\n${text.plain}\n${text.html}\n${certificationData}\n${JSON.stringify(rest)}\n`;
    const file = new URL(`golden/${name}.txt`, import.meta.url);
    if (process.env.GOLDEN === 'write') writeFileSync(file, whole);
    assert.equal(whole, readFileSync(file, 'utf8'));
  });
}

golden('transport-envelope', transportEnvelope(submitted, about, 'completa', at, issuer));
golden(
  'anomaly-envelope',
  anomalyEnvelope(
    submitted,
    { recipients: [bruno], reasons: [anomalies.unsigned], at, messageId: 'a1@pec.alfa.example' },
    issuer,
  ),
);
golden(
  'anomaly-envelope-of-nobody',
  anomalyEnvelope(
    parseHeader('Subject: x\r\n'),
    {
      recipients: [bruno],
      reasons: [anomalies.unsigned, anomalies.noData],
      at,
      messageId: 'a2@pec.alfa.example',
    },
    issuer,
  ),
);
const original = { file: 'x', start: 0, end: 1 };
const debts: Receipt[] = [
  { kind: 'accettazione', ...owed },
  { kind: 'presa-in-carico', ...owed, to: mailbox('ricevute@pec.alfa.example'), taken: [bruno] },
  { kind: 'avvenuta-consegna', ...owed, recipient: bruno, form: 'completa', original },
  { kind: 'avvenuta-consegna', ...owed, recipient: bruno, form: 'sintetica' },
  {
    kind: 'errore-consegna',
    ...owed,
    recipient: bruno,
    error: { errore: 'no-dest', extended: '5.1.1 - Beta - indirizzo non valido' },
  },
  { kind: 'errore-consegna', ...owed, recipient: bruno, error: virusError('Eicar', 'Beta') },
  {
    kind: 'rilevazione-virus',
    ...owed,
    to: mailbox('ricevute@pec.alfa.example'),
    recipient: bruno,
    error: virusError('Eicar', 'Beta'),
  },
  {
    kind: 'non-accettazione',
    ...owed,
    error: { errore: 'altro', extended: '5.6.0 - Alfa & figli - campo Bcc valorizzato' },
    why: 'campo Bcc valorizzato',
  },
  { kind: 'non-accettazione', ...owed, error: virusError('Eicar', 'Alfa & figli'), why: 'Eicar' },
  ...(['first', 'second'] as const).map(notice => ({
    kind: 'preavviso-errore-consegna' as const,
    ...owed,
    recipient: bruno,
    notice,
    error: timeoutError(notice, 'Alfa & figli'),
  })),
];
const variant = (debt: Receipt): string => {
  if ('form' in debt) return `-${debt.form}`;
  if ('notice' in debt) return `-${debt.notice}`;
  return 'error' in debt && debt.error.virus !== undefined ? '-virus' : '';
};
for (const debt of debts) golden(debt.kind + variant(debt), receipt(debt, issuer));

test('a receipt for a message without msgid refers to nothing', () => {
  const { msgid: _, ...anonymous } = about;
  const { header } = receipt({ kind: 'accettazione', ...owed, about: anonymous }, issuer);
  assert.doesNotMatch(header, /Riferimento|In-Reply-To|References/);
});

test('§2.2.1 the wrapped original: Message-ID replaced, the client’s kept beside it, the rest as it was', () => {
  const before = submitted.map(({ raw }) => raw).join('');
  assert.equal(
    wrappedHeader(submitted, pecMsgid, about.msgid),
    `${before.replace('<client-1@alfa.example>', `<${pecMsgid}>`)}X-Riferimento-Message-ID: <client-1@alfa.example>\r\n`,
  );
  assert.equal(wrappedHeader(parseHeader('To: x\r\n'), pecMsgid), `To: x\r\nMessage-ID: <${pecMsgid}>\r\n`);
});

test('§3.1.5 an existing Reply-To is inherited, and is what the certification data repeat', () => {
  const header = parseHeader(
    'From: anna@pec.alfa.example\r\nReply-To: Ufficio <u@pec.alfa.example>, v@w.example\r\n',
  );
  assert.equal(statedFacts(header).replyTo, 'u@pec.alfa.example, v@w.example');
  const plan = transportEnvelope(header, { ...about, ...statedFacts(header) }, 'completa', at, issuer);
  assert.equal(
    plan.header.match(/^Reply-To:.*$/gm)?.join(),
    'Reply-To: Ufficio <u@pec.alfa.example>, v@w.example',
  );
});

test('§3.3.2.1 the form asked for', () => {
  const asked = (value: string) => receiptFormAsked(parseHeader(`x-tiporicevuta: ${value}\r\n`));
  assert.deepEqual(['breve', 'Sintetica', 'completa', 'other'].map(asked), [
    'breve',
    'sintetica',
    'completa',
    'completa',
  ]);
  assert.equal(receiptFormAsked([]), 'completa');
});

test('a quote in a local part cannot end the display name', () => {
  const sender = mailbox('"a\\"b"@pec.alfa.example');
  const { header } = transportEnvelope(submitted, { ...about, sender }, 'completa', at, issuer);
  assert.match(header, /From: "Per conto di: \\"a\\\\\\"b\\"@pec\.alfa\.example"\r?\n? <posta-/);
});

test('one debt for one message, kind and recipients, however it is found again', () => {
  const [acceptance, taken] = debts as [Receipt, Receipt];
  assert.equal(debtKey({ ...acceptance, messageId: 'other', at: instant(0) }), debtKey(acceptance));
  // A recipient has one outcome, whichever of five debts it is; a message one notice of non-acceptance.
  assert.equal(new Set(debts.map(debtKey)).size, debts.length - 4 - 1);
  if (taken.kind !== 'presa-in-carico') assert.fail();
  assert.equal(debtKey({ ...taken, taken: [mario, bruno] }), debtKey({ ...taken, taken: [bruno, mario] }));
});
