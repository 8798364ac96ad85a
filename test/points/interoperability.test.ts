// PEC messages as other providers write them: the incoming point understands them all. RFC 6109 §2.2.2, §3.2.1, §4.3, §4.4
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SmtpEnvelope } from '../../src/pec/values.ts';
import {
  arriving,
  base64,
  but,
  dataPart,
  daticert,
  eightBit,
  encodedData,
  envelopeHeader,
  type ForeignMail,
  foreignMail,
  indefinite,
  md,
  mixed,
  original,
  originalPart,
  part,
  quotedPrintable,
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
import {
  assertReceipt,
  assertTransportEnvelope,
  bruno,
  type Circumstances,
  carla,
  faultsOf,
  received,
  there,
} from './incoming-verdict.ts';
import { mailbox } from './world.ts';

const contentType = (changes: string) =>
  but({ contentType: `multipart/signed; boundary="outer"; ${changes}` });
const withText = (...parts: string[]) => withParts(...parts, dataPart(daticert()), originalPart);
const html = (encoding: string, body: string) =>
  part(['Content-Type: text/html; charset=utf-8', `Content-Transfer-Encoding: ${encoding}`], body);
const alternative = (...parts: string[]) =>
  mixed(parts, 'choice').replace('multipart/mixed', 'multipart/alternative');
const page = '<html><body><a href="x">Messaggio di posta certificata: è qui</a></body></html>';

describe('§2.2.2 a transport envelope is one, however it is written', { concurrency: 4 }, () => {
  const other = 'protocol="application/pkcs7-signature"';
  const usual = 'protocol="application/x-pkcs7-signature"';
  const rows: readonly Row[] = [
    ['as most write it', transportEnvelope],
    ['SHA-1', md('sha1')],
    [
      'SHA-1, micalg as it was long ago',
      { ...contentType(`${usual}; micalg=sha1`), options: ['-md', 'sha1'] },
    ],
    ['SHA-512', { ...contentType(`${usual}; micalg=sha-512`), options: ['-md', 'sha512'] }],
    ['SHA-384, no micalg', { ...contentType(other), options: ['-md', 'sha384'] }],
    [
      'SHA-512, an unknown micalg',
      { ...contentType(`${other}; micalg=unknown`), options: ['-md', 'sha512'] },
    ],
    [
      'the other name of the protocol',
      {
        ...contentType(`${other}; micalg=sha-256`),
        signatureType: 'application/pkcs7-signature; name=smime.p7s',
      },
    ],
    ['one name above, the other below', contentType(other)],
    ['no micalg', contentType(usual)],
    ['a micalg that is wrong', contentType(`${usual}; micalg="sha1"`)],
    ['wrong the other way', { ...contentType(`${usual}; micalg=sha-512`), options: ['-md', 'sha1'] }],
    ['parameters in capitals', contentType('MICALG=SHA-256; PROTOCOL="Application/X-PKCS7-Signature"')],
    ['made by openssl smime', but({ command: 'smime' })],
    ['BER, lengths indefinite', but({ recoded: indefinite })],
    ['no S/MIME capabilities', md('sha256', '-nosmimecap')],
    ['the signing certificate among the attributes', md('sha256', '-cades')],
    ['no signed attributes', md('sha256', '-noattr')],
    ['no signed attributes, SHA-1', md('sha1', '-noattr')],
    ['signer by key identifier', md('sha256', '-keyid')],
    ['a P-256 key', but({ key: 'alfaP256' })],
    ['XML first', withParts(dataPart(daticert()), textPart, originalPart)],
    ['original first', withParts(originalPart, textPart, dataPart(daticert()))],
    ['original and XML, no text', withParts(originalPart, dataPart(daticert()))],
    ['text and HTML', withText(alternative(textPart, html('base64', base64(page))))],
    [
      'HTML in quoted-printable',
      withText(alternative(textPart, html('quoted-printable', quotedPrintable(page)))),
    ],
    ['HTML as it is, alone', withText(html('8bit', eightBit(page)))],
    [
      'two languages',
      withText(textPart, textPart.replace('Messaggio di posta certificata', 'Certified mail')),
    ],
    [
      'a picture and a page of advice',
      withParts(
        textPart,
        part(['Content-Type: image/png; name=logo.png', 'Content-Transfer-Encoding: base64'], 'iVBORw0KGgo='),
        dataPart(daticert()),
        originalPart,
        part(
          ['Content-Type: application/pdf; name="note.pdf"', 'Content-Transfer-Encoding: base64'],
          'JVBERi0=',
        ),
      ),
    ],
    ['XML in quoted-printable', withData(encodedData('quoted-printable', quotedPrintable(daticert())))],
    ['XML in 7bit', withData(encodedData('7bit', daticert(['é', '&#233;'])))],
    ['XML in 8bit', withData(encodedData('8bit', eightBit(daticert())))],
    ['XML in ISO-8859-1', withData(encodedData('8bit', daticert(['UTF-8', 'ISO-8859-1'])))],
    ['XML with a byte order mark', withXml([/^/, '\ufeff'])],
    ['XML without a declaration', withXml([/<\?xml.*\n/, ''])],
    [
      'XML with unknown elements',
      withXml(['</dati>', '<nota n="1">x<b/></nota></dati>'], ['<mittente>', '<ora/><mittente>']),
    ],
    ['XML with stray text', withXml(['</postacert>', 'testo</postacert>'], ['<dati>', '<dati> - '])],
    [
      'XML with comments and CDATA',
      withXml(['<dati>', '<!-- <dati> --><dati>'], ['Perché no', '<![CDATA[Perché no]]>']),
    ],
    [
      'XML without what may be absent',
      withXml([/ *<ricevuta .*\n/, ''], [/ *<msgid.*\n/, ''], [/ *<risposte.*\n/, '']),
    ],
    [
      'XML in another order',
      withXml([/( *<intestazione>[\s\S]*<\/intestazione>\n)([\s\S]*<\/dati>\n)/, '$2$1']),
    ],
    [
      'XML of another type',
      withData(dataPart(daticert()).replace('application/xml', 'application/octet-stream')),
    ],
    [
      'certdata.xml, as the RFC has it',
      withData(dataPart(daticert()).replaceAll('daticert.xml', 'certdata.xml')),
    ],
    [
      'names in the disposition only',
      withParts(
        textPart,
        dataPart(daticert()).replace('; name="daticert.xml"', ''),
        originalPart.replace('; name="postacert.eml"', ''),
      ),
    ],
    [
      'names in the type only',
      withParts(
        textPart,
        ...[dataPart(daticert()), originalPart].map(one => one.replace(/Content-Disposition.*\r\n/, '')),
      ),
    ],
    [
      'no transfer encoding on the original',
      withParts(textPart, dataPart(daticert()), originalPart.replace(/Content-Transfer-Encoding.*\r\n/, '')),
    ],
    ['X-Tiporicevuta', withHeader('X-TipoRicevuta', 'X-Tiporicevuta')],
    ['no X-TipoRicevuta', withHeader(/^X-TipoRicevuta.*/, '')],
    [
      'the marker in capitals',
      withHeader('X-Trasporto: posta-certificata', 'X-TRASPORTO: POSTA-CERTIFICATA'),
    ],
    ['an author without a display name', withHeader(/"Per conto di: .*" <(.*)>/, '$1')],
    [
      'a folded author in encoded words',
      withHeader(/"Per conto di: .*" </, '=?utf-8?Q?Per_conto?=\r\n =?utf-8?Q?_di=3A_anna?=\r\n <'),
    ],
    ['another author of the same domain', withHeader('<posta-certificata@', '<certified-mail@')],
    ['an author in capitals', withHeader('certificata@pec.alfa.example>', 'certificata@PEC.Alfa.Example>')],
    ['a Sender field', withField('Sender: posta-certificata@pec.alfa.example')],
    [
      'more trace fields',
      transportEnvelope,
      message => `Received: from a by b; now\r\nX-Spam-Flag: NO\r\n${message}`,
    ],
    [
      'another preamble',
      transportEnvelope,
      message => message.replace('This is an S/MIME signed message', '--oute'),
    ],
    [
      'no preamble',
      transportEnvelope,
      message => message.replace('This is an S/MIME signed message\r\n\r\n', ''),
    ],
    ['blank lines at the end', transportEnvelope, message => `${message}\r\n \r\n`],
    ['no line end at the end', transportEnvelope, message => message.trimEnd()],
  ];
  for (const row of rows)
    test(row[0], async () => {
      const { found, carried } = await assertTransportEnvelope(await arriving(row, there));
      assert.equal(carried, original);
      assert.equal('certification' in found && found.certification.about.subject, 'Perché no');
    });

  const circumstances: readonly [string, ForeignMail, Circumstances][] = [
    [
      'the intermediate certificate is not included, but is an anchor',
      but({ withIntermediate: false }),
      { trust: usual => ({ ...usual, anchors: [...usual.anchors, there.intermediate.der] }) },
    ],
    ['the certificate expires tomorrow', but({ key: 'alfaExpiring' }), {}],
    [
      'addresses in capitals',
      transportEnvelope,
      { envelope: { from: mailbox('ANNA@pec.alfa.example'), to: [bruno] } },
    ],
  ];
  for (const [name, mail, when] of circumstances)
    test(name, async () => {
      await assertTransportEnvelope(await foreignMail(mail, there), when);
    });

  test('the original is a PEC message itself: only the outer one counts', async () => {
    const inner = (await foreignMail(transportEnvelope, there)).replaceAll(
      /outer|inner|opec21010/g,
      known => `another-${known}`,
    );
    const forwarded = originalPart.replace(original, () => inner);
    const { found, carried } = await assertTransportEnvelope(
      await foreignMail(withParts(textPart, dataPart(daticert()), forwarded), there),
    );
    assert.equal(carried, inner);
    assert.equal(
      'certification' in found && found.certification.about.pecMsgid,
      'opec21010.1@pec.alfa.example',
    );
  });

  test('§3.4 one of our own provider is like any other', async () => {
    const mail = {
      ...withXml(['<mittente>anna@pec.alfa', '<mittente>carla@pec.beta']),
      header: envelopeHeader.map(line => line.replace('certificata@pec.alfa', 'certificata@pec.beta')),
      key: 'beta',
    } as const;
    const { found, debts } = await received(await foreignMail(mail, there), {
      envelope: { from: carla, to: [bruno] },
    });
    assert.equal(found.class, 'transport-envelope', faultsOf(found));
    assert.deepEqual(
      debts.map(({ kind, to }) => [kind, to]),
      [['presa-in-carico', 'ricevute@pec.beta.example']],
    );
  });
});

const receiptRouting: SmtpEnvelope = { from: mailbox('posta-certificata@pec.alfa.example'), to: [bruno] };
const consegna = ['</dati>', '<consegna>bruno@pec.beta.example</consegna></dati>'] as const;
const altro = ['"nessuno"', '"altro"'] as const;

describe('§2.2.2 a receipt is one, however it is written: passed on as it is, and not answered', {
  concurrency: 4,
}, () => {
  const virus = [
    ['"nessuno"', '"virus"'],
    ['</dati>', '<errore-esteso>5.5.1 - ALFA - virus</errore-esteso></dati>'],
  ] as const;
  const acceptance = receiptOf('accettazione');
  const delivery = receiptOf('avvenuta-consegna', consegna, [
    '</dati>',
    '<ricevuta tipo="completa"/></dati>',
  ]);
  const brief = part(
    ['Content-Type: text/plain; name="a.pdf.hash"'],
    'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  );
  const rows: readonly (readonly [string, string, ForeignMail])[] = [
    ['acceptance', 'accettazione', acceptance],
    ['non-acceptance', 'non-accettazione', receiptOf('non-accettazione', altro)],
    [
      'take-charge',
      'presa-in-carico',
      receiptOf('presa-in-carico', ['</dati>', '<ricezione>bruno@pec.beta.example</ricezione></dati>']),
    ],
    ['delivery, concise', 'avvenuta-consegna', delivery],
    ['delivery, complete', 'avvenuta-consegna', { ...delivery, parts: [...delivery.parts, originalPart] }],
    [
      'delivery, with hashes beside',
      'avvenuta-consegna',
      { ...delivery, parts: [...delivery.parts, originalPart, brief] },
    ],
    ['non-delivery', 'errore-consegna', receiptOf('errore-consegna', ['"nessuno"', '"no-dest"'], consegna)],
    ['non-delivery for a virus', 'errore-consegna', receiptOf('errore-consegna', ...virus, consegna)],
    ['timeout', 'preavviso-errore-consegna', receiptOf('preavviso-errore-consegna', altro, consegna)],
    ['virus found', 'rilevazione-virus', receiptOf('rilevazione-virus', ...virus, consegna)],
    ['SHA-1', 'accettazione', { ...acceptance, options: ['-md', 'sha1'] }],
    ['BER', 'accettazione', { ...acceptance, recoded: indefinite }],
    ['XML first', 'avvenuta-consegna', { ...delivery, parts: [...delivery.parts].reverse() }],
    [
      'HTML and two languages',
      'avvenuta-consegna',
      { ...delivery, parts: [alternative(textPart, html('base64', base64(page))), ...delivery.parts] },
    ],
    [
      'no reference to the message',
      'accettazione',
      { ...acceptance, header: acceptance.header.filter(line => !/^X-Rif/.test(line)) },
    ],
    [
      'the marker in capitals',
      'accettazione',
      { ...acceptance, header: acceptance.header.map(line => line.toUpperCase()) },
    ],
  ];
  for (const [name, kind, mail] of rows)
    test(name, async () => assertReceipt(await foreignMail(mail, there), kind, { envelope: receiptRouting }));
});
