import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { briefOriginal } from '../../src/mime/brief.ts';
import { chunked, collect, sizes, watched } from './streams.ts';

const sha1 = (content: Buffer | string) => createHash('sha1').update(content).digest('hex');
const lines = (...some: string[]) => `${some.join('\r\n')}\r\n`;
const brief = async (
  message: string | Buffer,
  hashOf?: 'decoded' | 'encoded',
  cuts: readonly number[] = [1 << 16],
) =>
  (await collect(briefOriginal(chunked(Buffer.from(message as string, 'latin1'), cuts), hashOf))).toString(
    'latin1',
  );

const walk = `
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps([[p.get_content_type(), p.get_filename(), '' if p.is_multipart() else p.get_payload(decode=True).decode('latin1')] for p in m.walk()]))
`;
const readByPython = (message: string): [string, string | null, string][] =>
  JSON.parse(
    execFileSync('python3', ['-c', walk], { input: Buffer.from(message, 'latin1'), encoding: 'utf8' }),
  );

const MIXED = 'Content-Type: multipart/mixed; boundary=b';
const PDF = [
  '--b',
  'Content-Type: application/pdf; name="atto.pdf"',
  'Content-Transfer-Encoding: base64',
  '',
  'JVBERi0x',
  'LjQK',
];

test('RFC 6109 §3.3.2.2: named parts give way to the hash of their content, the rest stays', async () => {
  const attached = ['--b', 'Content-Type: message/rfc822', '', 'Subject: inner', '', 'x'];
  const quoted = [
    '--b',
    'Content-Disposition: attachment;',
    " filename*=utf-8''perch%C3%A9.txt",
    'Content-Transfer-Encoding: quoted-printable',
    'Content-ID: <1@x.example>',
    '',
    'a=20',
    'b',
  ];
  const top = [
    'Subject: prova',
    'X-Kept:   as  it is',
    MIXED,
    '',
    'preamble',
    '--b',
    'Content-Type: text/plain',
    '',
    'ciao',
    '',
  ];
  const message = lines(...top, ...PDF, ...quoted, ...attached, '--b--', 'epilogue');
  const changed = await brief(message);
  assert.deepEqual(readByPython(changed), [
    ['multipart/mixed', null, ''],
    ['text/plain', null, 'ciao\r\n'],
    ['text/plain', 'atto.pdf.hash', sha1('%PDF-1.4\n')],
    ['text/plain', 'perché.txt.hash', sha1('a \r\nb')],
    ['text/plain', 'messaggio.eml.hash', sha1('Subject: inner\r\n\r\nx')],
  ]);
  assert.ok(changed.startsWith(lines(...top)));
  assert.ok(changed.endsWith('\r\n--b--\r\nepilogue\r\n'));
  assert.match(changed, /Content-ID: <1@x.example>\r\n/);
  assert.match(await brief(message, 'encoded'), new RegExp(`${sha1('JVBERi0x\r\nLjQK')}\r\n--b`));
});

test('RFC 6109 §3.3.2.2: of a signed message the signature stays, of a CMS object all', async () => {
  const signature = lines(
    '--s',
    'Content-Type: application/pkcs7-signature; name=smime.p7s',
    'Content-Transfer-Encoding: base64',
    '',
    'AAAA',
    '--s--',
  );
  const signed =
    lines('Content-Type: multipart/signed; boundary=s', '', '--s', MIXED, '', ...PDF, '--b--') + signature;
  const changed = await brief(signed);
  assert.match(changed, new RegExp(`atto.pdf.hash[^]*${sha1('%PDF-1.4\n')}\r\n--b--\r\n`));
  assert.ok(changed.endsWith(signature));
  for (const type of ['application/pkcs7-mime', 'APPLICATION/x-pkcs7-mime']) {
    const cms = lines(
      `Content-Type: ${type}; name=smime.p7m`,
      'Content-Transfer-Encoding: base64',
      '',
      'AAAA',
    );
    assert.equal(await brief(cms), cms);
  }
});

test('a message that is itself one named part', async () => {
  const message = lines('Subject: prova', ...PDF.slice(1));
  assert.deepEqual(readByPython(await brief(message)), [
    ['text/plain', 'atto.pdf.hash', `${sha1('%PDF-1.4\n')}\r\n`],
  ]);
});

test('a long name is cut, also where it would cut a character, and its header lines stay short', async () => {
  const name = `${'x'.repeat(199)}\u{1f600}${'y'.repeat(3000)}.pdf`;
  const encoded = encodeURIComponent(name).match(/(?:%..|.){1,60}/g) ?? [];
  const parameters = encoded.map(
    (piece, index) => `;\r\n filename*${index}*=${index === 0 ? "utf-8''" : ''}${piece}`,
  );
  const changed = await brief(lines(`Content-Disposition: attachment${parameters.join('')}`, '', 'x'));
  assert.match(readByPython(changed)[0]?.[1] ?? '', /^x{199}\ufffd\.hash$/);
  assert.doesNotMatch(changed, /[^\r\n]{100}/);
});

test('an empty attachment does not swallow the delimiter', async () => {
  const changed = await brief(lines(MIXED, '', ...PDF.slice(0, 3), '', '--b', '', 'x', '--b--'));
  assert.deepEqual(readByPython(changed).slice(1), [
    ['text/plain', 'atto.pdf.hash', sha1('')],
    ['text/plain', null, 'x'],
  ]);
});

test('messages without names stay byte for byte, and any chunking gives the same', async () => {
  const attachment = `\r\n${lines(...PDF).slice(0, -2)}`;
  const pieces = ['\r\n', '\r\n', 'x', '--bx', '-', '\r\n--b\r\n\r\n', '\r\n--b--', attachment];
  const body = fc.array(fc.constantFrom(...pieces), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(body, sizes, async (some, cuts) => {
      const message = `${MIXED}\r\n\r\n--b\r\n\r\n${some.join('')}`;
      const whole = await brief(message);
      assert.equal(await brief(message, 'decoded', cuts), whole);
      if (!message.includes('name=')) assert.equal(whole, message);
    }),
  );
});

test('a large attachment is hashed as it passes', async () => {
  const content = Buffer.alloc(3_000_000, 'abc');
  const encoded = content.toString('base64').replace(/.{76}/g, '$&\r\n');
  const message = lines(MIXED, '', ...PDF.slice(0, 4), encoded, '--b--');
  assert.match(await brief(message, 'decoded', [65_536, 1, 4093]), new RegExp(sha1(content)));
});

test('what the source throws is thrown, and leaving early closes the source', async () => {
  async function* broken() {
    yield Buffer.from(lines(MIXED, '', ...PDF));
    throw new Error('disk gone');
  }
  await assert.rejects(collect(briefOriginal(broken())), /disk gone/);
  const { source, closed } = watched(
    Array.from({ length: 100 }, () => Buffer.from(lines('a: b', '', 'x'.repeat(20_000)))),
  );
  for await (const _ of briefOriginal(source)) break;
  const deadline = Date.now() + 5000;
  while (!closed() && Date.now() < deadline) await setImmediate();
  assert.equal(closed(), true);
});
