// Streams of bytes on their way through a door: checked, counted, looked at, joined, held at the gate. RFC 5321 §2.3.8, §4.5.3.1.6

const LF = 10;
const CR = 13;
const LINE_LIMIT = 998;
const BATCH = 16 * 1024;

/** The message cannot be passed on without changing it; `message` says why, in a few words. */
export class BadBytesError extends Error {}

// A CR that ends the chunk is judged with the next one.
const STRAY = /\0|\r(?!\n|$)|(?<!\r)\n/;
const strays: Record<string, string> = { '\0': 'NUL', '\r': 'bare CR', '\n': 'bare LF' };

/**
 * Passes the bytes, and throws a BadBytesError instead of the chunk that holds a NUL, a bare CR or LF, or a line
 * of more than 998 bytes. Of several offences the first in the stream is named, however it is cut into chunks.
 */
export async function* checkedBytes(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let afterCr = false;
  // Where the current line began, counted from the start of the chunk: negative if it began in an earlier one.
  let lineStart = 0;
  for await (const chunk of source) {
    if (chunk.length === 0) continue;
    if (afterCr && chunk[0] !== LF) throw new BadBytesError('bare CR');
    const seen = afterCr ? 1 : 0;
    const stray = STRAY.exec(chunk.toString('latin1', seen));
    const sound = stray === null ? chunk : chunk.subarray(0, seen + stray.index);
    // One look backwards from the furthest place for a line end passes many lines at once.
    for (;;) {
      const end = sound.lastIndexOf(LF, lineStart + LINE_LIMIT + 1);
      if (end < 0 || end < lineStart) break;
      lineStart = end + 1;
    }
    const limit = lineStart + LINE_LIMIT;
    if (limit < sound.length && sound[limit] !== CR) {
      throw new BadBytesError(`line over ${LINE_LIMIT} bytes`);
    }
    if (stray !== null) throw new BadBytesError(strays[stray[0]]);
    afterCr = chunk[chunk.length - 1] === CR;
    lineStart -= chunk.length;
    yield chunk;
  }
  if (afterCr) throw new BadBytesError('bare CR');
}

/**
 * Passes at most `limit` bytes. Of a longer source it reads the rest without passing it, and throws what `over` makes
 * at the end: by then the sender has said all it had to say.
 */
export async function* limited(
  source: AsyncIterable<Buffer>,
  limit: number,
  over: () => Error,
): AsyncGenerator<Buffer, void> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size <= limit) yield chunk;
  }
  if (size > limit) throw over();
}

/** Passes the bytes, showing each chunk to `tap` first, and waiting for it. */
export async function* tapped(
  source: AsyncIterable<Buffer>,
  tap: (chunk: Buffer) => void | Promise<void>,
): AsyncGenerator<Buffer, void> {
  for await (const chunk of source) {
    await tap(chunk);
    yield chunk;
  }
}

/** The parts one after the other; each stream is opened when its turn comes. */
export async function* concatenated(
  ...parts: readonly (Buffer | AsyncIterable<Buffer>)[]
): AsyncGenerator<Buffer, void> {
  for (const part of parts) {
    if (Buffer.isBuffer(part)) yield part;
    else yield* part;
  }
}

/** The same bytes without small chunks: they are joined until there are 16 KiB of them. */
export async function* batched(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    waiting.push(chunk);
    size += chunk.length;
    if (size < BATCH) continue;
    yield joined(waiting, size);
    waiting = [];
    size = 0;
  }
  if (size > 0) yield joined(waiting, size);
}

function joined(chunks: readonly Buffer[], size: number): Buffer {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

/** Bytes that are kept: chunks of any size, appended at a cost that grows with the bytes, not with their number. */
export interface KeptBytes {
  append(chunk: Buffer): void;
  /** All of them; a view that the next append may overwrite. */
  view(): Buffer;
}

export function keptBytes(): KeptBytes {
  let bytes = Buffer.alloc(0);
  let size = 0;
  return {
    append(chunk) {
      const needed = size + chunk.length;
      if (needed > bytes.length) {
        const larger = Buffer.allocUnsafe(Math.max(1024, 2 * needed));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      chunk.copy(bytes, size);
      size = needed;
    },
    view: () => bytes.subarray(0, size),
  };
}

/**
 * The commit gate: passes everything, and ends only after `commit` has resolved. If it rejects, so does the stream:
 * whoever sends it never comes to the final dot.
 */
export async function* heldUntil(
  source: AsyncIterable<Buffer>,
  commit: () => Promise<void>,
): AsyncGenerator<Buffer, void> {
  yield* source;
  await commit();
}
