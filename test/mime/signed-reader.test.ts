import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderTooBigError } from '../../src/mime/read-message.ts';
import { signedMultipart } from '../../src/mime/signed-multipart.ts';
import { type ReceivedMessage, signedReader } from '../../src/mime/signed-reader.ts';
import { messageEntity } from '../../src/mime/write-message.ts';
import { BOUNDARY, plan } from './plan.ts';
import { bytesOf, chunked, collect, cut, sizes } from './streams.ts';

const SIGNATURE = Buffer.from(Array.from({ length: 700 }, (_, index) => index % 251));

function read(message: Buffer | string, cuts: readonly number[] = [1 << 20]): ReceivedMessage {
  const reader = signedReader({ headerSize: 64 * 1024 });
  for (const chunk of cut(Buffer.from(message as string, 'latin1'), cuts)) reader.push(chunk);
  return reader.end();
}

async function written(original: Buffer, boundary = BOUNDARY): Promise<{ entity: Buffer; message: Buffer }> {
  const entity = await collect(messageEntity(plan({ boundary }), chunked(original, [1000])));
  const message = await collect(
    signedMultipart(plan().header, boundary, chunked(entity, [1000]), async () => SIGNATURE),
  );
  return { entity, message };
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();

test('RFC 6109 §4.3: what is written is read again, whatever the original, in any chunking', async () => {
  const signedOriginal = (await written(Buffer.from('Subject: a\r\n\r\nb'), `${BOUNDARY}2`)).message;
  assert.ok(read(signedOriginal).signed);
  const lookalikes = [
    `\r\n--${BOUNDARY}`,
    `\r\n--${BOUNDARY}--`,
    `\r\n--${BOUNDARY}-mm\r\n`,
    `\r\n--${BOUNDARY}-s-\r\n`,
    `\r\n --${BOUNDARY}-m\r\n`,
    `\r\n--${BOUNDARY}-m --\r\n`,
    `\n--${BOUNDARY}-m\n`,
    `--${BOUNDARY}-m`,
  ];
  const originals = fc.oneof(
    bytesOf('\r\n', '\r', '\n', '-', 'Content-Type: multipart/mixed\r\n\r\n', ...lookalikes),
    fc.constant(Buffer.alloc(0)),
    fc.constantFrom(signedOriginal, signedOriginal.subarray(0, -2)),
  );
  await fc.assert(
    fc.asyncProperty(originals, sizes, async (original, cuts) => {
      // A line that is a delimiter of this very message cannot be told from one: its boundary is drawn at random.
      fc.pre(!new RegExp(`(^|\r\n)--${BOUNDARY}-[ms](--)?[ \t]*(\r\n|$)`).test(original.toString('latin1')));
      const { entity, message } = await written(original);
      const { header, signed, malformed } = read(message, cuts);
      assert.equal(malformed, undefined);
      assert.ok(signed);
      assert.equal(header, message.toString('latin1', 0, message.indexOf('\r\n\r\n') + 2));
      assert.deepEqual(signed.problems, []);
      assert.deepEqual(signed.digests.get('sha256'), sha256(entity));
      assert.deepEqual(signed.digests.get('sha1'), createHash('sha1').update(entity).digest());
      assert.deepEqual(signed.signature, SIGNATURE);
      assert.equal(signed.certificationData?.toString(), plan().certificationData);
      assert.ok(signed.original);
      assert.deepEqual(message.subarray(signed.original.start, signed.original.end), original);
      assert.equal(signed.original.encoding, '7bit');
    }),
  );
});

test('any bytes are read without trouble, and alike in any chunking', () => {
  const pieces = [
    'Content-Type: multipart/signed; boundary=o; protocol="application/pkcs7-signature"\r\n',
    'Content-Type: multipart/mixed; boundary="o-i"\r\n',
    'Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA',
    'Content-Type: message/rfc822; name=postacert.eml\r\n',
    'Content-Type: application/xml; name=daticert.xml\r\n\r\n<a/>',
    '\r\n',
    '\r\n\r\n',
    '\r\n--o\r\n',
    '\r\n--o--\r\n',
    '\r\n--o-i\r\n',
    '--o-i--',
    '--o \t\r\n',
    '\r',
  ];
  const messages = fc
    .tuple(fc.constantFrom(pieces[0] ?? '', ''), fc.array(fc.constantFrom(...pieces), { maxLength: 30 }))
    .map(([first, rest]) => first + rest.join(''));
  // Chance alone hardly makes a message that is signed.
  const sound = [0, 7, 1, 5, 7, 2, 8].map(piece => pieces[piece]).join('');
  let signed = 0;
  fc.assert(
    fc.property(messages, sizes, (message, cuts) => {
      const whole = read(message);
      assert.deepEqual(read(message, cuts), whole);
      assert.ok(!(whole.signed && whole.malformed));
      if (whole.signed) signed += 1;
    }),
    { numRuns: 2000, examples: [[sound, [1]]] },
  );
  assert.ok(signed > 0);
});

const SIGNED = 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="o"';
const P7S =
  'Content-Type: application/x-pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64';
const lines = (...some: string[]) => some.join('\r\n');
const message = (top: string, ...body: string[]) => lines(top, '', ...body, '');

test('RFC 1847 §2.1: what is not a well-formed multipart/signed, and why', async t => {
  const two = ['--o', '', 'text', '--o', P7S, '', 'AAAA', '--o--'];
  const rows: [string, string, string | undefined | RegExp][] = [
    ['plain text', message('Subject: a', 'text'), undefined],
    ['no header', '\r\nContent-Type: multipart/signed', undefined],
    ['another multipart', message('Content-Type: multipart/mixed; boundary=o', ...two), undefined],
    ['signed in another way', message(SIGNED.replace('pkcs7', 'pgp'), ...two), undefined],
    ['two Content-Type fields', message(lines(SIGNED, SIGNED), ...two), /more than one Content-Type/],
    [
      'two, the other first',
      message(lines('content-type : text/plain', SIGNED), ...two),
      /more than one Content-Type/,
    ],
    [
      'two MIME-Version fields',
      message(lines('MIME-Version: 1.0', 'Mime-version: 1.0', SIGNED), ...two),
      /MIME-Version/,
    ],
    ['no boundary', message(SIGNED.replace(/; boundary.*/, ''), ...two), /no usable boundary/],
    ['an empty boundary', message(SIGNED.replace('"o"', '""'), ...two), /no usable boundary/],
    ['a boundary over 70', message(SIGNED.replace('"o"', 'x'.repeat(71)), ...two), /no usable boundary/],
    ['a boundary given twice', message(`${SIGNED}; boundary=p`, ...two), /cannot be read/],
    ['no protocol', message(SIGNED.replace(/protocol.*?;/, ''), ...two), /no protocol/],
    [
      'encoded as a whole',
      message(lines(SIGNED, 'Content-Transfer-Encoding: base64'), ...two),
      /transfer encoding/,
    ],
    ['no part', message(SIGNED, 'text'), /parts is 0/],
    ['one part', message(SIGNED, '--o', '', 'text', '--o--'), /parts is 1/],
    ['three parts', message(SIGNED, ...two.slice(0, -1), '--o', '', 'x', '--o--'), /parts is 3/],
    [
      'the second part is no signature',
      message(SIGNED, '--o', '', 'text', '--o', '', 'AAAA', '--o--'),
      /no PKCS#7/,
    ],
    ['a signature not in base64', message(SIGNED, ...two).replace('base64', '7bit'), /not in base64/],
    [
      'a signature too long',
      message(SIGNED, ...two).replace('AAAA', 'AAAA'.repeat(350_000)),
      /more than 1048576 bytes/,
    ],
    [
      'a signature far too long',
      message(SIGNED, ...two).replace('AAAA', 'AAAA'.repeat(1_500_000)),
      /more than 1048576/,
    ],
    [
      'a part header without end',
      message(SIGNED, ...two).replace('name=', `name=${'x'.repeat(20_000)}`),
      /header over/,
    ],
  ];
  for (const [name, text, expected] of rows) {
    await t.test(name, () => {
      const { signed, malformed } = read(text, [65_536]);
      assert.equal(signed, undefined);
      if (expected instanceof RegExp) assert.match(malformed ?? '', expected);
      else assert.equal(malformed, expected);
    });
  }
});

test('RFC 2045 §5.1: a Content-Type field may be folded, commented, and written in any case', () => {
  const type =
    'CONTENT-TYPE: (really)\r\n Multipart/Signed (s/mime) ;\r\n\tBOUNDARY = "o\\=1";\r\n micalg="SHA-512" (!); Protocol=application/x-pkcs7-signature ;';
  const { signed } = read(
    message(type, 'preamble', '--o=1\t ', '', 'text', '--o=1', P7S, '', 'AAAA', '--o=1-- '),
  );
  assert.deepEqual(signed?.digests.get('sha512'), createHash('sha512').update('\r\ntext').digest());
});

/** A signed message around parts of a multipart/mixed, each given as its lines. */
const mixed = (...parts: string[][]) =>
  message(
    SIGNED,
    '--o',
    ...[
      'Content-Type: multipart/mixed; boundary="o-i"',
      '',
      ...parts.flatMap(part => ['--o-i', ...part]),
      '--o-i--',
    ],
    ...['--o', P7S, '', 'AAAA', '--o--'],
  );
const DATA = ['Content-Type: application/xml; name=daticert.xml', '', '<a/>'];
const EML = ['Content-Type: message/rfc822; name=postacert.eml', '', 'Subject: x', '', 'y'];

test('what is out of order in a signed message', async t => {
  const rows: [string, string, RegExp | undefined][] = [
    ['nothing', mixed(DATA, EML), undefined],
    ['blank lines after the end', `${mixed(DATA, EML)}\r\n \r\n`, undefined],
    ['two daticert.xml', mixed(DATA, DATA), /more than one daticert.xml/],
    [
      'both names of it',
      mixed(DATA, ['Content-Disposition: inline; filename=CertData.XML', '', 'x']),
      /more than one daticert.xml/,
    ],
    ['two postacert.eml', mixed(EML, EML), /more than one postacert.eml/],
    [
      'postacert.eml of another type',
      mixed(['Content-Type: text/plain; name=postacert.eml', '', 'x']),
      /not message\/rfc822/,
    ],
    [
      'postacert.eml in base64',
      mixed([EML[0] ?? '', 'Content-Transfer-Encoding: Base64', '', 'eA==']),
      /postacert.eml is encoded in base64/,
    ],
    [
      'an unknown encoding',
      mixed([DATA[0] ?? '', 'Content-Transfer-Encoding: x-uue', '', 'x']),
      /unknown transfer encoding x-uue/,
    ],
    [
      'daticert.xml too long',
      mixed([DATA[0] ?? '', '', 'x'.repeat(2_000_000)]),
      /daticert.xml has more than/,
    ],
    ['a Content-Type given twice in a part', mixed([DATA[0] ?? '', ...DATA]), /there twice/],
    ['a part header too long', mixed([`X: ${'x'.repeat(20_000)}`, ...DATA]), /header over 16384/],
    ['too many parts', mixed(...Array.from({ length: 101 }, () => ['', 'x'])), /more than 100 parts/],
    [
      'no multipart/mixed',
      message(SIGNED, '--o', '', 'text', '--o', P7S, '', 'AAAA', '--o--'),
      /not multipart\/mixed/,
    ],
    [
      'the mixed part encoded',
      mixed(DATA).replace('"o-i"\r\n', '"o-i"\r\nContent-Transfer-Encoding: base64\r\n'),
      /encoded in base64/,
    ],
    ['no inner boundary', mixed(DATA).replace('; boundary="o-i"', ''), /no usable boundary/],
    ['no inner end', mixed(DATA).replace('\r\n--o-i--', ''), /no closing delimiter in the signed part/],
    ['no end', mixed(DATA).replace('\r\n--o--', ''), /no closing delimiter after the signature/],
    ['an epilogue', `${mixed(DATA)}more`, /text after the signature/],
    ['an inner epilogue', mixed(DATA).replace('--o-i--', '--o-i--\r\nmore'), /text after the last part/],
  ];
  for (const [name, text, expected] of rows) {
    await t.test(name, () => {
      const { signed } = read(text, [4096]);
      assert.ok(signed);
      if (expected === undefined) assert.deepEqual(signed.problems, []);
      else assert.match(signed.problems.join('; '), expected);
    });
  }
});

test('certification data is decoded, under either name, in any case and encoding', async t => {
  const rows: [string, string[]][] = [
    ['7bit', DATA],
    [
      'base64',
      [
        'Content-Type: application/xml',
        'Content-Disposition: inline; FILENAME="DatiCert.xml"',
        'Content-Transfer-Encoding: BASE64',
        '',
        'PGEv',
        'Pg==',
      ],
    ],
    [
      'quoted-printable',
      [...DATA.slice(0, 1), 'Content-Transfer-Encoding: quoted-printable', '', '=3Ca=', '/=3E'],
    ],
    ['certdata.xml', ['Content-Type: text/xml; name="certdata.xml"', '', '<a/>']],
  ];
  for (const [name, part] of rows) {
    await t.test(name, () => assert.equal(read(mixed(part)).signed?.certificationData?.toString(), '<a/>'));
  }
});

test('parts without a body or without a blank line have empty contents', () => {
  for (const part of [EML.slice(0, 1), EML.slice(0, 2)]) {
    const text = mixed(part);
    const { original } = read(text).signed ?? {};
    assert.ok(original);
    assert.equal(original.start, original.end);
    assert.equal(text.slice(original.end).indexOf('\r\n--o-i--'), 0);
  }
});

test('a header over the limit throws, here or there', () => {
  const reader = signedReader({ headerSize: 100 });
  assert.throws(() => reader.push(Buffer.alloc(200, 'x')), HeaderTooBigError);
  const other = signedReader({ headerSize: 100 });
  other.push(Buffer.from('Subject: x\r\n\r\n'));
  other.push(Buffer.alloc(1000, 'x'));
  assert.deepEqual(other.end(), { header: 'Subject: x\r\n' });
});
