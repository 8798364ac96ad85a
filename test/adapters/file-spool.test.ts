// The spool against a real file system: chunking, full disks, durable keeping, one daemon a spool
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { openSpool } from '../../src/adapters/file-spool.ts';
import type { Spool, Spooled } from '../../src/points/ports.ts';
import { withFileLimit } from '../file-limit.ts';

let base: string;
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'pecd-spool-'));
});
after(() => rm(base, { recursive: true, force: true }));

let count = 0;
const freshDirectory = () => join(base, String(count++));

async function* chunks(...parts: readonly Buffer[]): AsyncIterable<Buffer> {
  yield* parts;
}

async function pieces(bytes: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const piece of bytes) found.push(piece);
  return found;
}

const all = async (bytes: AsyncIterable<Buffer>) => Buffer.concat(await pieces(bytes));

const take = (spool: Spool, bytes: Buffer | string): Promise<Spooled> =>
  spool.take(chunks(Buffer.from(bytes)), () => {});

const mode = async (path: string) => (await stat(path)).mode & 0o777;

/** Open files of this process below `directory`. */
async function openFiles(directory: string): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter(path => path.startsWith(`${directory}/`));
}

describe('take and read', () => {
  it('gives back the bytes, any range of them, whatever the chunks; tap sees each chunk once', async () => {
    await using spool = await openSpool(freshDirectory());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
        fc.nat(240),
        fc.nat(240),
        async (parts, a, b) => {
          const given = parts.map(part => Buffer.from(part));
          const whole = Buffer.concat(given);
          const tapped: Buffer[] = [];
          await using message = await spool.take(chunks(...given), chunk => tapped.push(chunk));
          const [start, end] = [Math.min(a, b, whole.length), Math.min(Math.max(a, b), whole.length)];
          assert.deepEqual(tapped, given);
          assert.equal(message.size, whole.length);
          assert.deepEqual(await all(message.read()), whole);
          assert.deepEqual(await all(message.read(start)), whole.subarray(start));
          assert.deepEqual(await all(message.read(start, end)), whole.subarray(start, end));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads a large message in large pieces, more than once and at the same time', async () => {
    await using spool = await openSpool(freshDirectory());
    const parts = Array.from({ length: 50 }, () => randomBytes(20_011));
    await using message = await spool.take(chunks(...parts), () => {});
    const readings = await Promise.all([pieces(message.read()), pieces(message.read(1))]);
    assert.deepEqual(Buffer.concat(readings[0]), Buffer.concat(parts));
    assert.deepEqual(Buffer.concat(readings[1]), Buffer.concat(parts).subarray(1));
    assert.ok(readings[0].length < 20, `${readings[0].length} pieces`);
  });

  it('asks for a chunk only when the one before is written', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    const written: number[] = [];
    async function* source() {
      for (let n = 0; n < 5; n++) {
        const [name = ''] = await readdir(join(directory, 'received'));
        written.push((await stat(join(directory, 'received', name))).size);
        yield Buffer.alloc(100_000);
      }
    }
    await using _ = await spool.take(source(), () => {});
    assert.deepEqual(written, [0, 100_000, 200_000, 300_000, 400_000]);
  });

  it('files are for the daemon alone, and gone once disposed', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    const message = await take(spool, 'a');
    const [name = ''] = await readdir(join(directory, 'received'));
    assert.equal(await mode(join(directory, 'received', name)), 0o600);
    for (const each of ['', 'received', 'owed']) assert.equal(await mode(join(directory, each)), 0o700);
    await message[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(join(directory, 'received')), []);
    assert.deepEqual(await openFiles(directory), []);
  });
});

describe('draft', () => {
  it('gives back the bytes so far, as often as asked, while it grows', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    const draft = await spool.draft();
    assert.equal(String(await all(draft.read())), '');
    await draft.append(Buffer.from('hel'));
    const before = draft.read();
    await draft.append(Buffer.from('lo'));
    assert.equal(String(await all(before)), 'hel');
    assert.equal(String(await all(draft.read())), 'hello');
    await draft.append(Buffer.alloc(300_000, '!'));
    assert.equal(String(await all(draft.read())), `hello${'!'.repeat(300_000)}`);
    const [name = ''] = await readdir(join(directory, 'received'));
    assert.equal(await mode(join(directory, 'received', name)), 0o600);
    await draft[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(join(directory, 'received')), []);
    assert.deepEqual(await openFiles(directory), []);
  });

  it('two at a time do not touch', async () => {
    await using spool = await openSpool(freshDirectory());
    await using one = await spool.draft();
    await using other = await spool.draft();
    await one.append(Buffer.from('one'));
    await other.append(Buffer.from('other'));
    assert.equal(String(await all(one.read())), 'one');
    assert.equal(String(await all(other.read())), 'other');
  });

  it('rejects when the file cannot grow', async () => {
    await using spool = await openSpool(freshDirectory());
    await using draft = await spool.draft();
    await withFileLimit(150_000, async () => {
      await draft.append(Buffer.alloc(100_000));
      await assert.rejects(draft.append(Buffer.alloc(100_000)), { code: 'EFBIG' });
    });
  });
});

describe('take fails and leaves nothing behind', () => {
  it('when the client vanishes', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    async function* source() {
      yield Buffer.from('half');
      throw new Error('client gone');
    }
    await assert.rejects(
      spool.take(source(), () => {}),
      { message: 'client gone' },
    );
    assert.deepEqual(await readdir(join(directory, 'received')), []);
    assert.deepEqual(await openFiles(directory), []);
  });

  it('when a tap refuses a chunk', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await assert.rejects(
      spool.take(chunks(Buffer.from('a')), () => {
        throw new Error('refused');
      }),
      { message: 'refused' },
    );
    assert.deepEqual(await readdir(join(directory, 'received')), []);
  });

  it('when the file cannot grow in the middle of a chunk', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await withFileLimit(150_000, () =>
      assert.rejects(
        spool.take(chunks(Buffer.alloc(100_000), Buffer.alloc(100_000)), () => {}),
        { code: 'EFBIG' },
      ),
    );
    assert.deepEqual(await readdir(join(directory, 'received')), []);
    await using message = await take(spool, Buffer.alloc(200_000));
    assert.equal(message.size, 200_000);
  });
});

describe('keep, readKept, release', () => {
  it('what was kept outlives the message, until released', async () => {
    await using spool = await openSpool(freshDirectory());
    const message = await take(spool, 'hello');
    await message.keep('AB.c_1@pec.alfa.example');
    await message.keep('AB.c_1@pec.alfa.example');
    await message[Symbol.asyncDispose]();
    assert.equal(String(await all(spool.readKept('AB.c_1@pec.alfa.example', 1, 4))), 'ell');
    await spool.release('AB.c_1@pec.alfa.example');
    await spool.release('AB.c_1@pec.alfa.example');
    assert.throws(() => spool.readKept('AB.c_1@pec.alfa.example', 1, 4), { code: 'ENOENT' });
  });

  it('another message cannot be kept under a name that is taken: its offsets would not fit', async () => {
    await using spool = await openSpool(freshDirectory());
    await using first = await take(spool, 'first');
    await using second = await take(spool, 'second');
    await first.keep('name');
    await assert.rejects(second.keep('name'), { code: 'EEXIST' });
    assert.equal(String(await all(spool.readKept('name', 0, 5))), 'first');
  });

  it('bytes and entry are on disk when keep resolves, the bytes synced once', async t => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await using message = await take(spool, 'hello');
    await using sample = await open(base, 'r');
    const prototype = Object.getPrototypeOf(sample);
    const datasync = t.mock.method(prototype, 'datasync');
    const sync = t.mock.method(prototype, 'sync');
    await Promise.all([message.keep('a'), message.keep('b')]);
    assert.equal(datasync.mock.callCount(), 1);
    assert.equal(sync.mock.callCount(), 2);
  });

  it('a failed sync is never forgotten', async t => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await using message = await take(spool, 'hello');
    await using sample = await open(base, 'r');
    const trouble = Object.assign(new Error('EIO'), { code: 'EIO' });
    t.mock.method(Object.getPrototypeOf(sample), 'datasync', () => Promise.reject(trouble), { times: 1 });
    await assert.rejects(message.keep('a'), { code: 'EIO' });
    await assert.rejects(message.keep('a'), { code: 'EIO' });
    assert.deepEqual(await readdir(join(directory, 'owed')), []);
  });

  it('a range beyond the end is an error, not a shorter message', async () => {
    await using spool = await openSpool(freshDirectory());
    await using message = await take(spool, 'hello');
    await message.keep('name');
    await assert.rejects(all(spool.readKept('name', 0, 6)), /ends at byte 5, expected 6/);
  });

  it('a reader that stops early leaves no file open', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    const message = await take(spool, Buffer.alloc(1_000_000));
    await message.keep('name');
    await message[Symbol.asyncDispose]();
    for await (const chunk of spool.readKept('name', 0, 1_000_000)) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.deepEqual(await openFiles(directory), []);
  });

  for (const name of [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/etc/passwd',
    '.hidden',
    'a b',
    'a\0b',
    'é',
    'a'.repeat(256),
  ]) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      await using spool = await openSpool(freshDirectory());
      await using message = await take(spool, 'a');
      await assert.rejects(message.keep(name), /not a name/);
      await assert.rejects(spool.release(name), /not a name/);
      assert.throws(() => spool.readKept(name, 0, 1), /not a name/);
    });
  }
});

describe('opening', () => {
  it('removes what a dead process was receiving, and nothing that is owed', async () => {
    const directory = freshDirectory();
    for (const each of ['received', 'owed']) await mkdir(join(directory, each), { recursive: true });
    await writeFile(join(directory, 'received', 'left'), 'half a message');
    await writeFile(join(directory, 'owed', 'kept'), 'owed');
    await using spool = await openSpool(directory);
    assert.deepEqual(await readdir(join(directory, 'received')), []);
    assert.equal(String(await all(spool.readKept('kept', 0, 4))), 'owed');
  });

  it('refuses a spool that another daemon uses, and lets it have its files', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await using message = await take(spool, 'hello');
    await assert.rejects(openSpool(directory), {
      message: `${directory}: another daemon is using this spool`,
    });
    assert.equal(String(await all(message.read())), 'hello');
  });

  it('a spool let go of can be opened again', async () => {
    const directory = freshDirectory();
    await (await openSpool(directory))[Symbol.asyncDispose]();
    await (await openSpool(directory))[Symbol.asyncDispose]();
  });

  it('the spool of a daemon that was killed can be opened, however long its path', async () => {
    const directory = join(freshDirectory(), 'd'.repeat(120));
    const source = new URL('../../src/adapters/file-spool.ts', import.meta.url).href;
    const script = `
      const { openSpool } = await import(${JSON.stringify(source)});
      const spool = await openSpool(${JSON.stringify(directory)});
      await spool.take([Buffer.from('half')], () => {});
      console.log('holding');
      setInterval(() => {}, 1000);`;
    const daemon = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(daemon, 'exit');
    try {
      await once(daemon.stdout, 'data');
      await assert.rejects(openSpool(directory), /another daemon/);
      assert.equal((await readdir(join(directory, 'received'))).length, 1);
    } finally {
      daemon.kill('SIGKILL');
      await exited;
    }
    await using _ = await openSpool(directory);
    assert.deepEqual(await readdir(join(directory, 'received')), []);
  });

  it('forgets at start what nobody owes any more, and keeps the rest', async () => {
    const directory = freshDirectory();
    await using spool = await openSpool(directory);
    await using message = await take(spool, 'abc');
    for (const name of ['owed', 'paid', 'never-owed']) await message.keep(name);
    await spool.retain(new Set(['owed', 'paid', 'released']), 60_000);
    assert.deepEqual((await readdir(join(directory, 'owed'))).sort(), ['never-owed', 'owed', 'paid']);
    await spool.retain(new Set(['owed', 'released']), 0);
    assert.deepEqual(await readdir(join(directory, 'owed')), ['owed']);
    assert.equal(String(await all(spool.readKept('owed', 0, 3))), 'abc');
  });

  it('holds a small part of a large message in memory', async () => {
    await using spool = await openSpool(freshDirectory());
    const block = Buffer.alloc(64 * 1024, 'x');
    async function* source() {
      for (let n = 0; n < 3200; n++) yield block;
    }
    const before = process.memoryUsage().rss;
    await using message = await spool.take(source(), () => {});
    const hash = createHash('sha256');
    for await (const chunk of message.read()) hash.update(chunk);
    assert.equal(message.size, 3200 * block.length);
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 100e6, `${grown} bytes for a message of ${message.size}`);
  });
});
