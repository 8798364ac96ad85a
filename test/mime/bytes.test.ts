import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BadBytesError,
  batched,
  checkedBytes,
  concatenated,
  heldUntil,
  limited,
  tapped,
} from '../../src/mime/bytes.ts';
import { bytesOf, chunked, collect, sizes, watched } from './streams.ts';

/** The first offence, found one byte at a time. */
function offence(bytes: Buffer): string | undefined {
  let column = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0) return 'NUL';
    if (byte === 10) return 'bare LF';
    if (byte === 13) {
      if (bytes[at + 1] !== 10) return 'bare CR';
      at += 1;
      column = 0;
    } else {
      column += 1;
      if (column > 998) return 'line over 998 bytes';
    }
  }
  return undefined;
}

async function outcome(bytes: Buffer, cuts: readonly number[]): Promise<string | undefined> {
  try {
    assert.deepEqual(await collect(checkedBytes(chunked(bytes, cuts))), bytes);
    return undefined;
  } catch (trouble) {
    assert.ok(trouble instanceof BadBytesError);
    return trouble.message;
  }
}

test('RFC 5321 §2.3.8: bad bytes are named, good ones pass', async t => {
  const long = 'x'.repeat(998);
  const rows: [string, string, string | undefined][] = [
    ['nothing', '', undefined],
    ['lines', 'a\r\n\r\nb\r\n', undefined],
    ['a last line without CRLF', 'a\r\nb', undefined],
    ['998 bytes', `${long}\r\n${long}\r\n${long}`, undefined],
    ['999 bytes', `${long}x\r\n`, 'line over 998 bytes'],
    ['999 bytes at the end', `a\r\n${long}x`, 'line over 998 bytes'],
    ['bare LF', 'a\n', 'bare LF'],
    ['CRLF LF', 'a\r\n\n', 'bare LF'],
    ['bare CR', 'a\rb\r\n', 'bare CR'],
    ['CR CRLF', 'a\r\r\n', 'bare CR'],
    ['CR at the end', 'a\r', 'bare CR'],
    ['CR after 998 bytes', `${long}\rx`, 'bare CR'],
    ['NUL', 'a\0b', 'NUL'],
    ['the first of two', `a\n${long}xx`, 'bare LF'],
    ['the first of two', `${long}x\n`, 'line over 998 bytes'],
  ];
  for (const [name, text, expected] of rows) {
    await t.test(name, async () => {
      const bytes = Buffer.from(text);
      assert.equal(offence(bytes), expected);
      for (const cuts of [[1], [2], [3, 0], [997], [998], [999], [1000], [bytes.length || 1]]) {
        assert.equal(await outcome(bytes, cuts), expected);
      }
    });
  }
});

test('checkedBytes agrees with a check of every byte, in any chunking', async () => {
  const pieces = ['\r\n', '\r\n', 'x'.repeat(990), 'x'.repeat(498), 'y', '\r', '\n', '\0', '\r\n\r\n'];
  await fc.assert(
    fc.asyncProperty(bytesOf(...pieces), sizes, async (bytes, cuts) => {
      assert.equal(await outcome(bytes, cuts), offence(bytes));
    }),
    { numRuns: 500 },
  );
  const good = fc
    .array(fc.constantFrom('', 'a', 'x'.repeat(997), 'x'.repeat(998), 'x'.repeat(70)), { maxLength: 30 })
    .map(lines => Buffer.from(lines.join('\r\n')));
  await fc.assert(
    fc.asyncProperty(good, sizes, async (bytes, cuts) => {
      assert.equal(await outcome(bytes, cuts), undefined);
    }),
  );
});

test('limited lets the limit pass and not one byte more', async () => {
  const over = () => new RangeError('too much');
  assert.equal((await collect(limited(chunked(Buffer.alloc(10), [3]), 10, over))).length, 10);
  await assert.rejects(collect(limited(chunked(Buffer.alloc(11), [3]), 10, over)), RangeError);
});

test('tapped, concatenated and batched change no byte', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60_000 }), sizes, async (array, cuts) => {
      const bytes = Buffer.from(array);
      const seen: Buffer[] = [];
      const half = bytes.length >> 1;
      const joined = concatenated(bytes.subarray(0, half), chunked(bytes.subarray(half), cuts));
      assert.deepEqual(await collect(batched(tapped(joined, chunk => void seen.push(chunk)))), bytes);
      assert.deepEqual(Buffer.concat(seen), bytes);
    }),
    { numRuns: 20 },
  );
});

test('batched leaves no small chunk but the last', async () => {
  const counted: number[] = [];
  for await (const chunk of batched(chunked(Buffer.alloc(100_000), [700]))) counted.push(chunk.length);
  assert.ok(counted.slice(0, -1).every(size => size >= 16 * 1024 && size < 17 * 1024));
});

test('leaving a stream early closes its source', async () => {
  for (const through of [checkedBytes, batched, (s: AsyncIterable<Buffer>) => tapped(s, () => {})]) {
    const { source, closed } = watched(
      [Buffer.alloc(20_000, 'a\r\n'), Buffer.from('b')].map(one => one.subarray(0, 19_998)),
    );
    for await (const _ of through(source)) break;
    assert.equal(closed(), true);
  }
});

test('the commit gate: the end comes after the commit, and not at all if it fails', async () => {
  const order: string[] = [];
  for await (const chunk of heldUntil(
    chunked(Buffer.from('ab'), [1]),
    async () => void order.push('commit'),
  )) {
    order.push(chunk.toString());
  }
  assert.deepEqual([...order, 'end'], ['a', 'b', 'commit', 'end']);
  const refused = heldUntil(chunked(Buffer.from('ab'), [1]), () => Promise.reject(new Error('virus')));
  await assert.rejects(collect(refused), /virus/);
  let committed = false;
  async function* broken() {
    yield Buffer.from('a');
    throw new Error('client gone');
  }
  await assert.rejects(
    collect(
      heldUntil(broken(), async () => {
        committed = true;
      }),
    ),
    /client gone/,
  );
  assert.equal(committed, false);
});
