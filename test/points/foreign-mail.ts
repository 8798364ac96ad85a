// Mail as the software of other providers writes it: plain templates, signed by openssl.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Key, Neighbours } from './neighbours.ts';

const run = promisify(execFile);

export const lines = (...some: readonly string[]): string => some.join('\r\n');

/** One MIME part; the body may have line ends of LF, and is in `encoding` already. */
export function part(header: readonly string[], body: string): string {
  return lines(...header, '', body.replace(/\r?\n/g, '\r\n'));
}

export const base64 = (text: string): string =>
  Buffer.from(text).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();

/** Escapes what must be, and breaks long lines softly. */
export const quotedPrintable = (text: string): string =>
  Buffer.from(text)
    .toString('latin1')
    .replace(
      /[^\n\x20-\x3c\x3e-\x7e]/g,
      character => `=${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .replace(/((?:=..|[^=\n]){60})(?=[^\n])/g, '$1=\n');

/** The text as its UTF-8 bytes, one character each, as the templates hold them. */
export const eightBit = (text: string): string => Buffer.from(text).toString('latin1');

/** What is to be replaced, and what by. */
export type Change = readonly [what: string | RegExp, by: string];

/** daticert.xml of a transport envelope, with changes that each find their place. */
export function daticert(...changes: readonly Change[]): string {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<postacert tipo="posta-certificata" errore="nessuno">
  <intestazione>
    <mittente>anna@pec.alfa.example</mittente>
    <destinatari tipo="certificato">bruno@pec.beta.example</destinatari>
    <risposte>anna@pec.alfa.example</risposte>
    <oggetto>Perch\u00e9 no</oggetto>
  </intestazione>
  <dati>
    <gestore-emittente>ALFA PEC S.p.A.</gestore-emittente>
    <data zona="+0100">
      <giorno>05/12/2024</giorno>
      <ora>00:02:10</ora>
    </data>
    <identificativo>opec21010.1@pec.alfa.example</identificativo>
    <msgid>&lt;client-1@alfa.example&gt;</msgid>
    <ricevuta tipo="completa"/>
  </dati>
</postacert>
`;
  return changes.reduce((so, [what, by]) => {
    const changed = so.replace(what, by);
    assert.notEqual(changed, so, `${what} is not in daticert.xml`);
    return changed;
  }, xml);
}

export const dataPart = (xml: string): string =>
  part(
    [
      'Content-Type: application/xml; name="daticert.xml"',
      'Content-Transfer-Encoding: base64',
      'Content-Disposition: inline; filename="daticert.xml"',
    ],
    base64(xml),
  );
export const textPart = part(
  ['Content-Type: text/plain; charset="iso-8859-1"', 'Content-Transfer-Encoding: quoted-printable'],
  'Messaggio di posta certificata\n\nIl giorno 05/12/2024 =E8 stato inviato un messaggio\n',
);
export const original = lines(
  'From: Anna <anna@pec.alfa.example>',
  'To: bruno@pec.beta.example',
  'Subject: =?iso-8859-1?Q?Perch=E9_no?=',
  'Message-ID: <opec21010.1@pec.alfa.example>',
  '',
  'Testo',
  '',
);
export const originalPart = part(
  [
    'Content-Type: message/rfc822; name="postacert.eml"',
    'Content-Transfer-Encoding: 7bit',
    'Content-Disposition: inline; filename="postacert.eml"',
  ],
  original,
);
/** The header of a transport envelope above the MIME fields. */
export const envelopeHeader = [
  'Received: from mx.alfa.example by mx.beta.example; Thu, 5 Dec 2024 00:02:11 +0100',
  'Date: Thu, 5 Dec 2024 00:02:10 +0100',
  'From: "Per conto di: anna@pec.alfa.example" <posta-certificata@pec.alfa.example>',
  'Reply-To: anna@pec.alfa.example',
  'To: bruno@pec.beta.example',
  'Message-ID: <opec21010.1@pec.alfa.example>',
  'Subject: POSTA CERTIFICATA: =?iso-8859-1?Q?Perch=E9_no?=',
  'X-Riferimento-Message-ID: <client-1@alfa.example>',
  'X-Trasporto: posta-certificata',
  'X-TipoRicevuta: completa',
] as const;

/** What there is to vary in a signed message. */
export interface ForeignMail {
  /** Above the MIME fields. */
  readonly header: readonly string[];
  /** Of the multipart/mixed that is signed. */
  readonly parts: readonly string[];
  /** The Content-Type of the whole; its boundary is `outer`. */
  readonly contentType: string;
  readonly signatureType: string;
  readonly key: Key;
  /** Further options of `openssl cms -sign`. */
  readonly options: readonly string[];
  readonly command: 'cms' | 'smime';
  readonly withIntermediate: boolean;
  /** What is signed, where it is not the multipart/mixed of the parts. */
  readonly entity?: string;
  /** What becomes of openssl's DER. */
  readonly recoded?: (der: Buffer) => Buffer;
}

export const transportEnvelope: ForeignMail = {
  header: envelopeHeader,
  parts: [textPart, dataPart(daticert()), originalPart],
  contentType:
    'multipart/signed; protocol="application/x-pkcs7-signature"; micalg="sha-256"; boundary="outer"',
  signatureType: 'application/x-pkcs7-signature; name="smime.p7s"',
  key: 'alfa',
  options: ['-md', 'sha256'],
  command: 'cms',
  withIntermediate: true,
};

/** A receipt of that kind about the transport envelope; `changes` are those of its daticert.xml. */
export function receiptOf(kind: string, ...changes: readonly Change[]): ForeignMail {
  return {
    ...transportEnvelope,
    header: [
      'Date: Thu, 5 Dec 2024 00:02:12 +0100',
      'From: posta-certificata@pec.alfa.example',
      'To: bruno@pec.beta.example',
      'Message-ID: <opec21010.2@pec.alfa.example>',
      'Subject: RICEVUTA: prova',
      'X-Riferimento-Message-ID: <client-1@alfa.example>',
      `X-Ricevuta: ${kind}`,
    ],
    parts: [
      textPart,
      dataPart(daticert(['"posta-certificata"', `"${kind}"`], [/ *<ricevuta .*\n/, ''], ...changes)),
    ],
  };
}

export const mixed = (parts: readonly string[], boundary = 'inner'): string =>
  lines(
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    ...parts.flatMap(one => [`--${boundary}`, one]),
    `--${boundary}--`,
    '',
  );

/** The outer three sequences with lengths that are not known when they begin, as those write them who stream. */
export function indefinite(der: Buffer): Buffer {
  const [contentType, signedData] = [der.subarray(4, 15), der.subarray(23)];
  const ber = [
    Buffer.of(0x30, 0x80),
    contentType,
    Buffer.of(0xa0, 0x80, 0x30, 0x80),
    signedData,
    Buffer.alloc(6),
  ];
  return Buffer.concat(ber);
}

/** The message, one character per byte. */
export async function foreignMail(mail: ForeignMail, { keys, intermediate }: Neighbours): Promise<string> {
  const { certificate, key } = keys[mail.key];
  const entity = mail.entity ?? mixed(mail.parts);
  const signing = run(
    'openssl',
    [
      ...[mail.command, '-sign', '-binary', '-outform', 'DER', '-signer', certificate, '-inkey', key],
      ...(mail.withIntermediate ? ['-certfile', intermediate.certificate] : []),
      ...mail.options,
    ],
    { encoding: 'buffer' },
  );
  signing.child.stdin?.end(Buffer.from(entity, 'latin1'));
  const { stdout } = await signing;
  const signature = mail.recoded?.(stdout) ?? stdout;
  return lines(
    ...mail.header,
    'MIME-Version: 1.0',
    `Content-Type: ${mail.contentType}`,
    '',
    'This is an S/MIME signed message',
    '',
    '--outer',
    entity,
    '--outer',
    `Content-Type: ${mail.signatureType}`,
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment; filename="smime.p7s"',
    '',
    ...(signature.toString('base64').match(/.{1,64}/g) ?? []),
    '',
    '--outer--',
    '',
  );
}

/** A way of writing it, and what happens to it on the way. */
export type Row = readonly [name: string, mail: ForeignMail, underway?: (message: string) => string];

/** The message of a row as it arrives. */
export async function arriving([, mail, underway]: Row, from: Neighbours): Promise<string> {
  const message = await foreignMail(mail, from);
  const arrived = underway?.(message) ?? message;
  assert.ok(underway === undefined || arrived !== message, 'nothing happened on the way');
  return arrived;
}

export const but = (changes: Partial<ForeignMail>): ForeignMail => ({ ...transportEnvelope, ...changes });
export const md = (digest: string, ...options: string[]) => but({ options: ['-md', digest, ...options] });
export const withParts = (...parts: string[]) => but({ parts });
export const withData = (part: string) => withParts(textPart, part, originalPart);
export const withXml = (...changes: readonly Change[]) => withData(dataPart(daticert(...changes)));
export const withField = (line: string) => but({ header: [...envelopeHeader, line] });
/** A transport envelope with one field of its header changed, or, by an empty string, taken away. */
export const withHeader = (...[what, by]: Change) => {
  const header = envelopeHeader.map(line => line.replace(what, by));
  const changed = header.filter((line, index) => line !== envelopeHeader[index]);
  assert.equal(changed.length, 1, `${what} is in ${changed.length} fields`);
  return but({ header: header.filter(line => line !== '') });
};

/** daticert.xml in an encoding of one's own. */
export const encodedData = (encoding: string, body: string): string =>
  part(
    [
      'Content-Type: application/xml; name=daticert.xml',
      `Content-Transfer-Encoding: ${encoding}`,
      'Content-Disposition: inline; filename=daticert.xml',
    ],
    body,
  );
