import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderTooBigError, readMessage } from '../../src/mime/read-message.ts';
import { bytesOf, chunked, collect, cut, sizes, watched } from './streams.ts';

async function split(
  bytes: Buffer,
  cuts: readonly number[],
  limit: number,
): Promise<{ header: string; rest: string }> {
  const { header, rest } = await readMessage(chunked(bytes, cuts), limit);
  return { header, rest: (await collect(rest)).toString('latin1') };
}

test('RFC 5322 §2.1: the header ends before the first blank line', async t => {
  const rows: [string, string, string, string][] = [
    ['header and body', 'A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n', 'A: 1\r\nB: 2\r\n', '\r\nbody\r\n\r\n'],
    ['no body', 'A: 1\r\n\r\n', 'A: 1\r\n', '\r\n'],
    ['no blank line', 'A: 1\r\n', 'A: 1\r\n', ''],
    ['no line end', 'A: 1', 'A: 1', ''],
    ['no header', '\r\nbody', '', '\r\nbody'],
    ['nothing', '', '', ''],
    ['bytes beyond ASCII', 'A: \xe9\xff\r\n\r\n\xe9', 'A: \xe9\xff\r\n', '\r\n\xe9'],
    ['a CR at the end', 'A: 1\r\n\r', 'A: 1\r\n\r', ''],
  ];
  for (const [name, text, header, rest] of rows) {
    await t.test(name, async () => {
      for (const cuts of [[1], [2], [3], [1000]]) {
        assert.deepEqual(await split(Buffer.from(text, 'latin1'), cuts, 100), { header, rest });
      }
    });
  }
});

test('header and rest are the message, in any chunking and up to the limit', async () => {
  const messages = bytesOf('\r\n', '\r\n\r\n', '\r', '\n', 'Subject: x\r\n', 'y'.repeat(300));
  await fc.assert(
    fc.asyncProperty(messages, sizes, async (bytes, cuts) => {
      const whole = await split(bytes, [bytes.length || 1], 1_000_000);
      assert.deepEqual(await split(bytes, cuts, 1_000_000), whole);
      assert.equal(whole.header + whole.rest, bytes.toString('latin1'));
      assert.ok(!whole.header.includes('\r\n\r\n'));
      assert.deepEqual(await split(bytes, cuts, whole.header.length), whole);
      if (whole.header.length > 0) {
        await assert.rejects(split(bytes, cuts, whole.header.length - 1), HeaderTooBigError);
      }
    }),
  );
});

test('a header without end is given up at the limit, and the source is closed', async () => {
  let read = 0;
  let closed = false;
  async function* endless() {
    try {
      for (;;) {
        read += 1000;
        yield Buffer.alloc(1000, 'x');
      }
    } finally {
      closed = true;
    }
  }
  await assert.rejects(readMessage(endless(), 10_000), HeaderTooBigError);
  assert.ok(read <= 12_000);
  assert.equal(closed, true);
});

test('leaving the rest early closes the source', async () => {
  const { source, closed } = watched(cut(Buffer.from('A: 1\r\n\r\nbody'), [3]));
  const { rest } = await readMessage(source, 100);
  assert.equal(closed(), false);
  for await (const _ of rest) break;
  assert.equal(closed(), true);
});

test('what the source throws reaches the reader of the rest', async () => {
  async function* broken() {
    yield Buffer.from('A: 1\r\n\r\n');
    throw new Error('client gone');
  }
  const { rest } = await readMessage(broken(), 100);
  await assert.rejects(collect(rest), /client gone/);
});
