import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, type Evidence, reversePathTells } from '../../src/pec/admission.ts';
import type { CertificationData } from '../../src/pec/certification-data.ts';
import { directoryOf, type Provider } from '../../src/pec/directory.ts';
import { parseHeader } from '../../src/pec/header.ts';
import { anomalies } from '../../src/pec/texts.ts';
import { instant, parseDomain, parseMailbox, parsePecMsgid } from '../../src/pec/values.ts';

const mailbox = (text: string) => parseMailbox(text) ?? assert.fail(text);
const anna = mailbox('anna@pec.alfa.example');
const bruno = mailbox('bruno@pec.beta.example');

function provider(name: string): Provider {
  const address = mailbox(`posta-certificata@sign.${name}.example`);
  return {
    name,
    mailReceipt: mailbox(`ricevute@pec.${name}.example`),
    domains: [parseDomain(`pec.${name}.example`) ?? assert.fail()],
    certificates: [{ hash: name.padEnd(40, '0'), der: Buffer.from(name), addresses: [address] }],
  };
}
const alfa = provider('alfa');
const beta = provider('beta');
const directory = directoryOf([alfa, beta]);

const certification: CertificationData = {
  tipo: 'posta-certificata',
  about: {
    pecMsgid: parsePecMsgid('x1@pec.alfa.example') ?? assert.fail(),
    sender: anna,
    recipients: [{ address: bruno, kind: 'certificato' }],
    replyTo: anna,
  },
  provider: 'Alfa',
  at: instant(0),
  ricezione: [],
};
const fields = {
  'X-Trasporto': 'posta-certificata',
  From: '"Per conto di: anna" <posta-certificata@sign.alfa.example>',
  'Message-ID': '<x1@pec.alfa.example>',
};
type Fields = Record<string, string | undefined>;

function headerOf(changes: Fields) {
  const all: Fields = { ...fields, ...changes };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return parseHeader(lines.map(([name, value]) => `${name}: ${value}\r\n`).join(''));
}

function evidence(changes: Partial<Evidence> = {}, headers: Fields = {}): Evidence {
  const signature = {
    state: 'good',
    certificate: Buffer.from('alfa'),
    hash: 'alfa'.padEnd(40, '0'),
    addresses: alfa.certificates[0]?.addresses ?? [],
    path: { ok: true },
  } as const;
  return { header: headerOf(headers), signature, certification, hasOriginal: true, problems: [], ...changes };
}

const envelope = { from: anna, to: [bruno] };
const receipt = { ...certification, tipo: 'avvenuta-consegna' } as const;
const asReceipt = { 'X-Trasporto': undefined, 'X-Ricevuta': 'avvenuta-consegna' };

test('§2.2.2 a correct transport envelope', () => {
  assert.deepEqual(classify(evidence(), envelope, directory), {
    class: 'transport-envelope',
    provider: alfa,
    certification,
  });
});

test('§2.2.2 a correct receipt, whatever its routing data', () => {
  const found = classify(
    evidence({ certification: receipt }, asReceipt),
    { from: null, to: [anna] },
    directory,
  );
  assert.equal(found.class, 'receipt');
  assert.equal(found.class === 'receipt' && found.kind, 'avvenuta-consegna');
});

test('§3.2.2 an anomaly envelope of a provider has no certification data', () => {
  const { certification: _, ...without } = evidence({}, { 'X-Trasporto': 'errore' });
  assert.equal(classify(without, envelope, directory).class, 'anomaly-envelope');
});

const good = evidence().signature as Extract<Evidence['signature'], { state: 'good' }>;
const ordinary: [string, Evidence, string][] = [
  ['not signed', evidence({ signature: { state: 'absent' } }), anomalies.unsigned],
  ['signature broken', evidence({ signature: { state: 'broken', why: 'x' } }), anomalies.notAuthentic],
  ['no path', evidence({ signature: { ...good, path: { ok: false, reason: 'x' } } }), anomalies.notAuthentic],
  [
    'signer in no directory',
    evidence({ signature: { ...good, hash: 'f'.repeat(40) } }),
    anomalies.notCertified,
  ],
  [
    'hash alike, certificate not',
    evidence({ signature: { ...good, certificate: Buffer.from('alfb') } }),
    anomalies.notCertified,
  ],
];
for (const [name, found, reason] of ordinary)
  test(`§2.2.2 ordinary mail: ${name}`, () => {
    assert.deepEqual(classify(found, envelope, directory), { class: 'ordinary', reasons: [reason] });
  });

const { certification: _, ...noData } = evidence();
const about = certification.about;
const anomalous: [string, Evidence, typeof envelope, string][] = [
  [
    'From of another provider',
    evidence({}, { From: 'posta-certificata@sign.beta.example' }),
    envelope,
    anomalies.foreignAuthor,
  ],
  ['no From', evidence({}, { From: undefined }), envelope, anomalies.author],
  ['two authors', evidence({}, { From: `${fields.From}, x@pec.alfa.example` }), envelope, anomalies.author],
  ['no marker', evidence({}, { 'X-Trasporto': undefined }), envelope, anomalies.marker],
  ['both markers', evidence({}, { 'X-Ricevuta': 'accettazione' }), envelope, anomalies.marker],
  ['no daticert.xml', noData, envelope, anomalies.noData],
  ['unreadable daticert.xml', evidence({ certification: 'bad' }), envelope, anomalies.badData],
  ['no postacert.eml', evidence({ hasOriginal: false }), envelope, anomalies.noOriginal],
  ['odd structure', evidence({ problems: ['two'] }), envelope, anomalies.structure],
  ['an envelope that calls itself a receipt', evidence({}, asReceipt), envelope, anomalies.otherKind],
  [
    'a receipt that calls itself an envelope',
    evidence({ certification: receipt }),
    envelope,
    anomalies.otherKind,
  ],
  [
    'another Message-ID',
    evidence({}, { 'Message-ID': '<x2@pec.alfa.example>' }),
    envelope,
    anomalies.identifier,
  ],
  [
    'sender of another provider',
    evidence({ certification: { ...certification, about: { ...about, sender: bruno } } }),
    { ...envelope, from: bruno },
    anomalies.foreignSender,
  ],
  [
    'another reverse path',
    evidence(),
    { ...envelope, from: mailbox('x@pec.alfa.example') },
    anomalies.sender,
  ],
  [
    'a recipient not certified',
    evidence(),
    { ...envelope, to: [bruno, mailbox('x@pec.beta.example')] },
    anomalies.recipient,
  ],
];
for (const [name, found, routing, reason] of anomalous)
  test(`§2.2.2 anomalous: ${name}`, () => {
    const received = classify(found, routing, directory);
    assert.equal(received.class, 'anomalous');
    assert.ok(received.class === 'anomalous' && received.reasons.includes(reason), JSON.stringify(received));
  });

test('§4.5.7 a secondary environment shares the certificate and answers for its own domains', () => {
  const unit: Provider = {
    ...alfa,
    unit: 'two',
    mailReceipt: mailbox('two@pec.alfa.example'),
    domains: [parseDomain('two.alfa.example') ?? assert.fail()],
  };
  const both = directoryOf([alfa, unit]);
  const sender = mailbox('zoe@two.alfa.example');
  const found = classify(
    evidence({ certification: { ...certification, about: { ...about, sender } } }),
    { from: sender, to: [bruno] },
    both,
  );
  assert.ok(found.class === 'transport-envelope' && found.provider === unit);
});

test('the reverse path tells, unless it is a provider’s or null', () => {
  assert.equal(reversePathTells(mailbox('someone@ordinary.example'), directory), true);
  assert.equal(reversePathTells(anna, directory), false);
  assert.equal(reversePathTells(mailbox('x@sign.alfa.example'), directory), false);
  assert.equal(reversePathTells(null, directory), false);
});
