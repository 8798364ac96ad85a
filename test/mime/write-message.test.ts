import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { messageEntity } from '../../src/mime/write-message.ts';
import { plan } from './plan.ts';
import { chunked, collect } from './streams.ts';

interface Part {
  readonly type: string;
  readonly charset: string | null;
  readonly encoding: string | null;
  readonly disposition: string | null;
  readonly filename: string | null;
  /** Hex of the decoded content. */
  readonly content: string;
}

const walk = `
import email, email.policy, json, sys
def part(p):
    content = b'' if p.is_multipart() else p.get_payload(decode=True)
    return dict(type=p.get_content_type(), charset=p.get_content_charset(), encoding=p['content-transfer-encoding'],
        disposition=p.get_content_disposition(), filename=p.get_filename(), content=content.hex(),
        defects=[str(d) for d in p.defects])
texts = json.load(sys.stdin)
print(json.dumps([[part(p) for p in email.message_from_bytes(bytes.fromhex(t)).walk()] for t in texts]))
`;

/** What Python's email package makes of entities: every part in its order, depth first. */
function readByPython(entities: readonly Buffer[]): Part[][] {
  const input = JSON.stringify(entities.map(one => one.toString('hex')));
  return JSON.parse(execFileSync('python3', ['-c', walk], { input, encoding: 'utf8', maxBuffer: 1 << 26 }));
}

const original = Buffer.from('Subject: prova\r\n\r\nciao\r\n');

function entity(changes: Parameters<typeof plan>[0] = {}): Promise<Buffer> {
  const one = plan(changes);
  return collect(one.original ? messageEntity(one, chunked(original, [5])) : messageEntity(one));
}

test('RFC 6109 §4.3: text, then certification data, then the original', async () => {
  const [parts] = readByPython([await entity()]);
  assert.deepEqual(
    parts?.map(({ type, charset, encoding, disposition, filename }) => [
      type,
      charset,
      encoding,
      disposition,
      filename,
    ]),
    [
      ['multipart/mixed', null, null, null, null],
      ['multipart/alternative', null, null, null, null],
      ['text/plain', 'iso-8859-1', 'quoted-printable', 'inline', null],
      ['text/html', 'iso-8859-1', 'quoted-printable', 'inline', null],
      ['application/xml', null, 'base64', 'inline', 'daticert.xml'],
      ['message/rfc822', null, null, 'inline', 'postacert.eml'],
      ['text/plain', null, null, null, null],
    ],
  );
  assert.equal(Buffer.from(parts?.[4]?.content ?? '', 'hex').toString(), plan().certificationData);
  assert.equal(Buffer.from(parts?.[6]?.content ?? '', 'hex').toString(), 'ciao\r\n');
});

test('RFC 6109 §3.2.2: an anomaly envelope has no certification data, a receipt need not have the original', async () => {
  const { certificationData: _, ...rest } = plan();
  const [anomaly, receipt] = readByPython([
    await collect(messageEntity(rest, chunked(original, [9]))),
    await entity({ original: false }),
  ]);
  assert.deepEqual(anomaly?.map(({ filename }) => filename).filter(Boolean), ['postacert.eml']);
  assert.deepEqual(receipt?.map(({ filename }) => filename).filter(Boolean), ['daticert.xml']);
});

test('a plan that does not fit the original is a mistake of the caller', async () => {
  await assert.rejects(collect(messageEntity(plan())), TypeError);
  await assert.rejects(collect(messageEntity(plan({ original: false }), chunked(original, [9]))), TypeError);
});

test('the original passes byte for byte, the entity ends with its delimiter', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async array => {
      const bytes = Buffer.from(array);
      const written = await collect(messageEntity(plan(), chunked(bytes, [100])));
      const end = Buffer.from(`\r\n--${plan().boundary}-m--`);
      assert.deepEqual(written.subarray(-end.length), end);
      assert.deepEqual(written.subarray(-end.length - bytes.length, -end.length), bytes);
    }),
    { numRuns: 30 },
  );
});

test('texts and certification data arrive as they were, in short lines of ASCII', async () => {
  const latin1 = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\n', ' ', '\t', '=', '.', 'è', '"'),
      fc.integer({ min: 0xa0, max: 0xff }).map(c => String.fromCharCode(c)),
    ),
    maxLength: 300,
  });
  const composed = latin1.map(text => text.normalize('NFC'));
  const plans = fc.sample(
    fc.record({ plain: composed, html: composed, xml: fc.string({ unit: 'binary', maxLength: 500 }) }),
    60,
  );
  const entities = await Promise.all(
    plans.map(({ plain, html, xml }) => entity({ text: { plain, html }, certificationData: xml })),
  );
  for (const written of entities) {
    assert.match(written.toString('latin1'), /^[\t\r\n\x20-\x7e]*$/);
    assert.doesNotMatch(written.toString('latin1'), /[^\r]\n|\r[^\n]|[^\r\n]{77}/);
  }
  const text = (part: Part | undefined) =>
    Buffer.from(part?.content ?? '', 'hex')
      .toString('latin1')
      .replaceAll('\r\n', '\n');
  readByPython(entities).forEach((parts, index) => {
    assert.equal(text(parts[2]), plans[index]?.plain);
    assert.equal(text(parts[3]), plans[index]?.html);
    assert.equal(parts[4]?.content, Buffer.from(plans[index]?.xml ?? '').toString('hex'));
  });
});

test('RFC 6109 §4.3.1: characters that ISO-8859-1 lacks', async t => {
  const rows: [string, string, string][] = [
    [
      'l’atto “firmato” – bozza…',
      'l\'atto "firmato" - bozza...',
      'l&#8217;atto &#8220;firmato&#8221; &#8211; bozza&#8230;',
    ],
    ['100 €', '100 EUR', '100 &#8364;'],
    ['perche\u0301 è', 'perché è', 'perché è'],
    ['Łódź 漢', '?ód? ?', '&#321;ód&#378; &#28450;'],
    ['\u{1f600}\ud800', '??', '&#128512;&#65533;'],
    ['a\u200bb\u00adc', 'ab\u00adc', 'a&#8203;b\u00adc'],
    ['a\rb\0c\x85d', 'a b c d', 'a b c d'],
  ];
  const read = readByPython(
    await Promise.all(rows.map(([text]) => entity({ text: { plain: text, html: text }, original: false }))),
  );
  for (const [index, [text, plain, html]] of rows.entries()) {
    await t.test(JSON.stringify(text), () => {
      const content = (part: number) =>
        Buffer.from(read[index]?.[part]?.content ?? '', 'hex').toString('latin1');
      assert.equal(content(2), plain);
      assert.equal(content(3), html);
    });
  }
});
