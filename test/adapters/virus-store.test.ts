// The virus store against a real file system: whole files or none, and never a second time
import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openVirusStore } from '../../src/adapters/virus-store.ts';
import { withFileLimit } from '../file-limit.ts';

let base: string;
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'pecd-virus-'));
});
after(() => rm(base, { recursive: true, force: true }));

let count = 0;
const freshDirectory = () => join(base, 'var', String(count++));

async function* chunks(...parts: readonly string[]): AsyncIterable<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

const march = { now: () => Date.UTC(2026, 2, 31, 23, 59, 59) };
const april = { now: () => Date.UTC(2026, 3, 1) };
const facts = { at: '2026-03-31T23:59:59Z', virus: 'Eicar', recipients: ['luisa@pec.beta.example'] };

const files = async (directory: string) =>
  (await readdir(directory, { recursive: true })).filter(name => name.includes('/')).sort();

describe('store', () => {
  it('keeps the message and what is known of it, in the directory of the month, for the daemon alone', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    await store.store('opec1@pec.alfa.example', chunks('From: a\r\n', '\r\n', 'X5O'), facts);
    const path = (ending: string) => join(directory, '2026-03', `opec1@pec.alfa.example.${ending}`);
    assert.deepEqual(await files(directory), [
      '2026-03/opec1@pec.alfa.example.eml',
      '2026-03/opec1@pec.alfa.example.json',
    ]);
    assert.equal(await readFile(path('eml'), 'latin1'), 'From: a\r\n\r\nX5O');
    assert.deepEqual(JSON.parse(await readFile(path('json'), 'utf8')), facts);
    for (const [name, mode] of [
      [directory, 0o700],
      [join(directory, '2026-03'), 0o700],
      [path('eml'), 0o600],
      [path('json'), 0o600],
    ] as const)
      assert.equal((await stat(name)).mode & 0o777, mode, name);
  });

  it('a name again changes nothing, not even in another month and another process', async () => {
    const directory = freshDirectory();
    const earlier = await openVirusStore(directory, march);
    await earlier.store('a', chunks('first'), facts);
    const later = await openVirusStore(directory, april);
    await later.store('a', chunks('second'), {});
    await later.store('b', chunks('third'), {});
    assert.deepEqual(await files(directory), [
      '2026-03/a.eml',
      '2026-03/a.json',
      '2026-04/b.eml',
      '2026-04/b.json',
    ]);
    assert.equal(await readFile(join(directory, '2026-03/a.eml'), 'utf8'), 'first');
  });

  it('one name twice at once is one whole message', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    await Promise.all(['one', 'two'].map(text => store.store('a', chunks(text, text), { text })));
    assert.deepEqual(await files(directory), ['2026-03/a.eml', '2026-03/a.json']);
    assert.match(await readFile(join(directory, '2026-03/a.eml'), 'utf8'), /^(oneone|twotwo)$/);
  });

  it('both files and their entries are on disk when it resolves', async t => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    await using sample = await open(base, 'r');
    const prototype = Object.getPrototypeOf(sample) as { sync(): Promise<void> };
    const original = prototype.sync;
    const seen: string[] = [];
    t.mock.method(prototype, 'sync', async function (this: { stat: (typeof sample)['stat'] }) {
      const what = (await this.stat()).isDirectory() ? 'directory' : 'file';
      const endings = (await files(directory)).map(name => /[^.]+$/.exec(name)?.[0]);
      seen.push(
        `${what} ${endings.filter(ending => ending === 'eml' || ending === 'json').join(' ')}`.trim(),
      );
      await original.call(this as never);
    });
    await store.store('a', chunks('text'), facts);
    assert.deepEqual(seen, ['directory', 'file', 'directory eml', 'file eml', 'directory eml json']);
  });
});

describe('a message that cannot be kept rejects and leaves no half file', () => {
  it('when its bytes end in an error', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    async function* source() {
      yield Buffer.from('half');
      throw new Error('spool gone');
    }
    await assert.rejects(store.store('a', source(), facts), { message: 'spool gone' });
    assert.deepEqual(await files(directory), []);
  });

  it('when the disk is full; the next attempt keeps it', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    const large = () => chunks('a'.repeat(100_000), 'b'.repeat(100_000));
    await withFileLimit(150_000, () => assert.rejects(store.store('a', large(), facts), { code: 'EFBIG' }));
    assert.deepEqual(await files(directory), []);
    await store.store('a', large(), facts);
    assert.equal((await stat(join(directory, '2026-03/a.eml'))).size, 200_000);
  });

  it('when only what is known of it finds no room: it is not taken for stored', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    const verbose = { reason: 'x'.repeat(2_000) };
    await withFileLimit(1_000, () =>
      assert.rejects(store.store('a', chunks('text'), verbose), { code: 'EFBIG' }),
    );
    assert.deepEqual(await files(directory), ['2026-03/a.eml']);
    await store.store('a', chunks('text'), verbose);
    assert.deepEqual(await files(directory), ['2026-03/a.eml', '2026-03/a.json']);
  });

  for (const name of ['', '.', '..', '../x', 'a/b', '.hidden', 'a b', 'a\0b', 'é', 'a'.repeat(201)]) {
    it(`under the name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const directory = freshDirectory();
      const store = await openVirusStore(directory, march);
      await assert.rejects(
        store.store(name, chunks('text'), facts),
        /^Error: not a name for the virus store/,
      );
      assert.deepEqual(await files(directory), []);
    });
  }

  it('the longest name fits', async () => {
    const directory = freshDirectory();
    const store = await openVirusStore(directory, march);
    await store.store('a'.repeat(200), chunks('text'), facts);
    assert.equal((await files(directory)).length, 2);
  });
});
