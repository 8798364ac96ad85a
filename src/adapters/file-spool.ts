// The spool on disk: DIR/received/ID while a door handles a message, DIR/owed/NAME while a debt needs its bytes
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Spool, SpoolDraft, Spooled } from '../points/ports.ts';

/** In bytes: one read of a large file. */
const CHUNK = 128 * 1024;

export interface FileSpool extends Spool, AsyncDisposable {
  readonly directory: string;
  /**
   * Forgets all that is kept but these, and but what was kept in the last `grace` milliseconds, whose debts may not be
   * on disk yet: a process died before it was owed, or it was owed a second time.
   */
  retain(names: ReadonlySet<string>, grace: number): Promise<void>;
}

/**
 * Opens the spool in `directory` (made if missing) and removes what a dead process was receiving there.
 * One daemon per spool: rejects with one line if another one holds it. Disposing lets go of it.
 */
export async function openSpool(directory: string): Promise<FileSpool> {
  const received = join(directory, 'received');
  const owed = join(directory, 'owed');
  for (const each of [directory, received, owed]) await mkdir(each, { recursive: true, mode: 0o700 });
  const letGo = await hold(directory);
  for (const leftover of await readdir(received)) await rm(join(received, leftover));

  return {
    directory,

    draft: () => draftIn(received),

    async take(bytes, tap) {
      const draft = await draftIn(received);
      try {
        for await (const chunk of bytes) {
          tap(chunk);
          await draft.append(chunk);
        }
      } catch (trouble) {
        await draft[Symbol.asyncDispose]();
        throw trouble;
      }
      return spooled(draft, owed);
    },

    readKept(name, start, end) {
      const path = join(owed, checked(name));
      accessSync(path);
      return (async function* () {
        await using file = await open(path, 'r');
        yield* slice(file, path, start, end);
      })();
    },

    async release(name) {
      await rm(join(owed, checked(name)), { force: true });
    },

    async retain(names, grace) {
      for (const name of await readdir(owed)) {
        const path = join(owed, name);
        if (names.has(name)) continue;
        const { ctimeMs } = await stat(path);
        if (Date.now() - Math.floor(ctimeMs) >= grace) await rm(path);
      }
    },

    [Symbol.asyncDispose]: letGo,
  };
}

interface Draft extends SpoolDraft {
  readonly path: string;
  readonly file: FileHandle;
  /** In bytes: what was appended so far. */
  readonly size: number;
}

async function draftIn(received: string): Promise<Draft> {
  const path = join(received, randomUUID());
  const file = await open(path, 'wx+', 0o600);
  let size = 0;
  return {
    path,
    file,
    get size() {
      return size;
    },
    async append(chunk) {
      // At the file's own position: behind what was written last.
      await file.writeFile(chunk);
      size += chunk.length;
    },
    read: () => slice(file, path, 0, size),
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

/** `draft` as a whole message; `owed` is the directory of what is kept. */
function spooled(draft: Draft, owed: string): Spooled {
  const { path, file, size } = draft;
  let synced: Promise<void> | undefined;
  return {
    size,
    read: (start = 0, end = size) => slice(file, path, start, end),

    async keep(name) {
      const kept = join(owed, checked(name));
      // Once, and a failure stays one: after a failed fsync the kernel may forget the bytes and call the next one good.
      synced ??= file.datasync();
      await synced;
      await link(path, kept).catch(async trouble => {
        if (trouble.code !== 'EEXIST' || !(await sameFile(path, kept))) throw trouble;
      });
      await using entry = await open(owed, 'r');
      await entry.sync();
    },

    [Symbol.asyncDispose]: () => draft[Symbol.asyncDispose](),
  };
}

/** The bytes of `file` from `start` up to, not including, `end`; throws if the file ends before. */
async function* slice(file: FileHandle, path: string, start: number, end: number): AsyncIterable<Buffer> {
  for (let at = start; at < end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`${path} ends at byte ${at}, expected ${end}`);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Names become file names: nothing that could lead out of the directory. */
function checked(name: string): string {
  if (!/^[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,254}$/.test(name))
    throw new Error(`not a name for the spool: ${name}`);
  return name;
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a), stat(b)]);
  return one.ino === other.ino && one.dev === other.dev;
}

/**
 * Holds `directory` for this process; the function returned lets go of it. Node has no flock; a listening socket serves:
 * the kernel lets go of it however its process dies, and no pid of an earlier boot or another container is mistaken for it.
 */
async function hold(directory: string): Promise<() => Promise<void>> {
  const handle = await open(directory, 'r');
  // By way of the handle, because the path of a socket may have 107 bytes at most.
  const path = `/proc/self/fd/${handle.fd}/lock`;
  const server = createServer(caller => caller.destroy()).unref();
  try {
    await listening(server, path).catch(async trouble => {
      if (trouble.code !== 'EADDRINUSE') throw trouble;
      if (await answers(path)) throw new Error(`${directory}: another daemon is using this spool`);
      await rm(path, { force: true });
      await listening(server, path);
    });
  } catch (trouble) {
    await handle.close();
    throw trouble;
  }
  return async () => {
    await new Promise(resolve => server.close(resolve));
    await handle.close();
  };
}

async function listening(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
