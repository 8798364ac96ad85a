// What looks like a PEC message and is none, or not a good one: what the incoming point takes it for. RFC 6109 §2.2.2, §3.2.2
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anomalies } from '../../src/pec/texts.ts';
import { instant, type SmtpEnvelope } from '../../src/pec/values.ts';
import {
  arriving,
  but,
  dataPart,
  daticert,
  encodedData,
  envelopeHeader,
  type ForeignMail,
  foreignMail,
  lines,
  md,
  mixed,
  originalPart,
  part,
  type Row,
  receiptOf,
  textPart,
  transportEnvelope,
  withData,
  withField,
  withHeader,
  withParts,
  withXml,
} from './foreign-mail.ts';
import { anna, assertOrdinary, assertWrapped, bruno, carla, there } from './incoming-verdict.ts';
import { mailbox } from './world.ts';

const { parts } = transportEnvelope;
const forged = receiptOf('avvenuta-consegna', [
  '</dati>',
  '<consegna>bruno@pec.beta.example</consegna></dati>',
]);
const inOurName = forged.header.map(line => line.replace('certificata@pec.alfa', 'certificata@pec.beta'));

describe('§2.2.2 signed by a provider but malformed: an anomaly envelope says why', {
  concurrency: 4,
}, () => {
  const twice = (line: RegExp) => withField(envelopeHeader.find(one => line.test(one)) ?? assert.fail());
  const data = dataPart(daticert());
  const acceptance = receiptOf('accettazione');
  const signedAgain = lines(
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=again',
    '',
    '--again',
    mixed(parts),
    '--again',
    'Content-Type: application/pkcs7-signature',
    'Content-Transfer-Encoding: base64',
    '',
    'AAAA',
    '--again--',
    '',
  );
  const malformed: readonly (readonly [reasons: readonly string[], rows: readonly Row[]])[] = [
    [
      [anomalies.structure],
      [
        ['two daticert.xml', withParts(data, data, originalPart)],
        ['two originals', withParts(data, originalPart, originalPart)],
        ['the original in base64', withParts(data, originalPart.replace('7bit', 'base64'))],
        [
          'an original that is no message',
          withParts(data, originalPart.replace('message/rfc822', 'text/plain')),
        ],
        ['text after the last part', but({ entity: `${mixed(parts)}more` })],
        ['parts without an end', but({ entity: mixed(parts).replace(/\r\n--inner--\r\n$/, '') })],
        ['a footer after the signature', transportEnvelope, message => `${message}-- \r\nAvviso\r\n`],
      ],
    ],
    [
      [anomalies.structure, anomalies.noData],
      [
        ['a signed text', but({ entity: 'Content-Type: text/plain\r\n\r\nCiao\r\n' })],
        ['a signature around another', but({ entity: signedAgain })],
        ['daticert.xml in an unknown encoding', withData(encodedData('x-uue', daticert(['é', 'e'])))],
      ],
    ],
    [[anomalies.marker, anomalies.otherKind], [['no marker', withHeader(/^X-Trasporto.*/, '')]]],
    [
      [anomalies.marker],
      [
        ['a second X-Trasporto', twice(/^X-Trasporto/)],
        ['X-Ricevuta beside X-Trasporto', withField('X-Ricevuta: avvenuta-consegna')],
      ],
    ],
    [
      [anomalies.author],
      [
        ['no From', withHeader(/^From:.*/, '')],
        ['a second From', twice(/^From/)],
        ['a second From of somebody else', withField('From: mario@ordinary.example')],
        ['two authors', withHeader(/<(posta-certificata@.*)>/, '$&, <x@pec.alfa.example>')],
        ['a From that is no address', withHeader(/<posta-certificata.*>/, '<posta-certificata>')],
      ],
    ],
    [
      [anomalies.foreignAuthor],
      [
        [
          '§2.1 From of another provider',
          withHeader('<posta-certificata@pec.alfa', '<posta-certificata@pec.beta'),
        ],
        [
          '§2.1 From of no provider',
          withHeader('<posta-certificata@pec.alfa', '<posta-certificata@ordinary'),
        ],
        ['a receipt in our own name', { ...forged, header: inOurName }],
      ],
    ],
    [[anomalies.noData], [['no daticert.xml', withParts(textPart, originalPart)]]],
    [
      [anomalies.badData],
      [
        ['daticert.xml that is no XML', withData(dataPart('posta-certificata'))],
        ['daticert.xml with a DTD', withXml(['<postacert', '<!DOCTYPE postacert SYSTEM "x.dtd"><postacert'])],
        ['daticert.xml without mittente', withXml([/<mittente.*/, ''])],
        ['daticert.xml with two mittente', withXml([/<mittente.*/, '$&$&'])],
        ['daticert.xml without destinatari', withXml([/<destinatari.*/, ''])],
        ['daticert.xml without identificativo', withXml([/<identificativo.*/, ''])],
        ['daticert.xml without an instant', withXml([/<ora.*/, ''])],
        ['daticert.xml of an unknown type', withXml(['"posta-certificata"', '"posta"'])],
        ['daticert.xml not in the charset that it names', withXml(['UTF-8', 'UTF-16'])],
      ],
    ],
    [[anomalies.noOriginal], [['no original', withParts(textPart, data)]]],
    [
      [anomalies.otherKind],
      [
        ['an envelope that calls itself a receipt', withHeader(/^X-Trasporto.*/, 'X-Ricevuta: accettazione')],
        ['an envelope that calls itself an anomaly', withHeader(/^X-Trasporto.*/, 'X-Trasporto: errore')],
        ['a receipt that calls itself another', { ...acceptance, header: forged.header }],
        ['a receipt that calls itself an envelope', { ...acceptance, header: envelopeHeader }],
      ],
    ],
    [
      [anomalies.identifier],
      [
        ['another Message-ID', withHeader('Message-ID: <opec21010.1', 'Message-ID: <opec21010.9')],
        ['no Message-ID', withHeader(/^Message-ID.*/, '')],
        ['a second Message-ID', twice(/^Message-ID/)],
      ],
    ],
  ];
  for (const [reasons, rows] of malformed)
    for (const row of rows)
      test(row[0], async () => assertWrapped(await arriving(row, there), { class: 'anomalous', reasons }));

  const { sender, recipient, foreignSender } = anomalies;
  const someone = mailbox('someone@pec.alfa.example');
  const byCarla = withXml(['<mittente>anna@pec.alfa', '<mittente>carla@pec.beta']);
  const replays: readonly [string, readonly string[], SmtpEnvelope, ForeignMail?][] = [
    ['by another sender', [sender], { from: someone, to: [bruno] }],
    ['by nobody', [sender], { from: null, to: [bruno] }],
    ['to another recipient', [recipient], { from: anna, to: [carla] }],
    ['to one recipient more', [recipient], { from: anna, to: [bruno, carla] }],
    ['by another to another', [sender, recipient], { from: someone, to: [carla] }],
    ['for a sender of another provider', [foreignSender], { from: carla, to: [bruno] }, byCarla],
  ];
  for (const [name, reasons, envelope, mail = transportEnvelope] of replays)
    test(`a good envelope sent ${name}`, async () =>
      assertWrapped(await foreignMail(mail, there), { class: 'anomalous', reasons }, { envelope }));

  test('an anomaly envelope of another provider: nothing else is certain of it', async () => {
    const { header } = withHeader(/^X-Trasporto.*/, 'X-Trasporto: errore');
    const message = await foreignMail(but({ header, parts: [textPart, originalPart] }), there);
    await assertWrapped(message, { class: 'anomaly-envelope' });
  });
});

describe('§2.2.2 not signed, or by nobody we know: ordinary mail', { concurrency: 4 }, () => {
  const unsigned = lines(...envelopeHeader, 'MIME-Version: 1.0', mixed(parts));
  const plain = lines(
    'From: anna@pec.alfa.example',
    'To: bruno@pec.beta.example',
    'Subject: x',
    '',
    'Ciao',
    '',
  );
  const texts: readonly [string, string][] = [
    ['plain text', plain],
    ['plain text with a forged X-Trasporto', `X-Trasporto: posta-certificata\r\n${plain}`],
    ['plain text with a forged X-Ricevuta', `X-Ricevuta: avvenuta-consegna\r\n${plain}`],
    ['all the parts of an envelope, and no signature', unsigned],
    ['a receipt in our own name, not signed', lines(...inOurName, 'MIME-Version: 1.0', mixed(forged.parts))],
    ['signed with OpenPGP', unsigned.replace('mixed;', 'signed; protocol="application/pgp-signature";')],
    [
      'an opaque CMS object',
      lines(
        ...envelopeHeader,
        'Content-Type: application/pkcs7-mime; smime-type=signed-data',
        '',
        'MIIB',
        '',
      ),
    ],
  ];
  for (const [name, message] of texts) test(name, async () => assertOrdinary(message, anomalies.unsigned));

  const around = (inner: string) =>
    lines(
      'From: anna@pec.alfa.example',
      'X-Trasporto: posta-certificata',
      mixed([textPart, inner], 'around'),
    );
  const attached = (message: string) =>
    around(part(['Content-Type: message/rfc822; name="postacert.eml"'], message));
  const asPart = (message: string) =>
    around(message.slice(message.indexOf('Content-Type: multipart/signed')));
  const expired = { at: instant(Date.now() + 2 * 86_400_000) };
  const counterfeits: readonly (readonly [reason: string, rows: readonly Row[]])[] = [
    [
      anomalies.unsigned,
      [
        ['a PEC message attached to another', transportEnvelope, attached],
        ['a PEC message inside a multipart', transportEnvelope, asPart],
      ],
    ],
    [
      anomalies.notAuthentic,
      [
        [
          'a text that was changed',
          transportEnvelope,
          message => message.replace('un messaggio', 'un assegno'),
        ],
        ['an original that was changed', transportEnvelope, message => message.replace('Testo', 'Resto')],
        [
          'changed, no signed attributes',
          md('sha256', '-noattr'),
          message => message.replace('Testo', 'Resto'),
        ],
        [
          'a blank more at the end of a line',
          transportEnvelope,
          message => message.replace('Testo', 'Testo '),
        ],
        ['a part more', transportEnvelope, message => message.replace('--inner\r\n', `$&${textPart}\r\n$&`)],
        [
          'a field refolded',
          transportEnvelope,
          message => message.replace('rfc822; name', 'rfc822;\r\n name'),
        ],
        [
          'the signature taken away',
          transportEnvelope,
          message => `${message.slice(0, message.lastIndexOf('--outer\r\n'))}--outer--\r\n`,
        ],
        [
          'a third part',
          transportEnvelope,
          message => message.replace('--outer--', `--outer\r\n${textPart}\r\n$&`),
        ],
        ['a signature of another type', but({ signatureType: 'application/octet-stream' })],
        ['a second Content-Type', withField('Content-Type: text/plain')],
        ['MD5', md('md5')],
        ['no certificate', but({ withIntermediate: false, options: ['-nocerts'] })],
        ['no intermediate certificate, nor is it an anchor', but({ withIntermediate: false })],
        ['a certificate of the sender’s own, with the names of a provider', but({ key: 'selfSigned' })],
      ],
    ],
    [anomalies.notCertified, [['a certificate that is not in the directory', but({ key: 'gamma' })]]],
  ];
  for (const [reason, rows] of counterfeits)
    for (const row of rows) test(row[0], async () => assertOrdinary(await arriving(row, there), reason));

  test('a certificate that has expired', async () =>
    assertOrdinary(await foreignMail(but({ key: 'alfaExpiring' }), there), anomalies.notAuthentic, expired));

  test('the signature of another message', async () => {
    const signatureOf = (message: string) => message.slice(message.lastIndexOf('--outer\r\n'));
    const one = await foreignMail(transportEnvelope, there);
    const other = await foreignMail(withXml(['Perché no', 'Perché sì']), there);
    await assertOrdinary(one.replace(signatureOf(one), signatureOf(other)), anomalies.notAuthentic);
  });
});
