// Raw DATA into header block and the rest, without losing a byte. RFC 5322 §2.1
import { keptBytes } from './bytes.ts';

export class HeaderTooBigError extends Error {
  constructor(limit: number) {
    super(`header over ${limit} bytes`);
  }
}

/**
 * The raw header block (latin1: one character per byte; every field's CRLF, not the blank line) and the rest, which
 * begins with the blank line's CRLF. A message that ends within its header has an empty rest. Reads only as far as
 * the header goes; throws a HeaderTooBigError beyond `headerLimit` bytes. Leaving `rest` early closes the source.
 */
export async function readMessage(
  source: AsyncIterable<Buffer>,
  headerLimit: number,
): Promise<{ readonly header: string; readonly rest: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const collector = headerCollector(headerLimit);
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return { header: collector.end(), rest: remaining([], iterator) };
      const first = collector.push(value);
      if (first !== undefined) return { header: collector.end(), rest: remaining(first, iterator) };
    }
  } catch (trouble) {
    await iterator.return?.();
    throw trouble;
  }
}

async function* remaining(
  first: readonly Buffer[],
  iterator: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void> {
  try {
    yield* first;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** Collects a header block out of chunks of any size; not to be pushed to after it has found the blank line. */
export interface HeaderCollector {
  /** Undefined while the header goes on; then the bytes after it, from the blank line's CRLF. Throws a HeaderTooBigError. */
  push(chunk: Buffer): readonly Buffer[] | undefined;
  /** The header block. Throws a HeaderTooBigError. */
  end(): string;
}

const CRLF = Buffer.from('\r\n');
const BLANK_LINE = Buffer.from('\r\n\r\n');

export function headerCollector(limit: number): HeaderCollector {
  // Begins with the CRLF that ends the line before, so that a header without fields needs no case of its own.
  const kept = keptBytes();
  kept.append(CRLF);
  let header: string | undefined;
  const checked = (length: number) => {
    if (length > limit) throw new HeaderTooBigError(limit);
  };
  return {
    push(chunk) {
      const before = kept.view().length;
      kept.append(chunk);
      const bytes = kept.view();
      const at = bytes.indexOf(BLANK_LINE, Math.max(0, before - 3));
      if (at < 0) {
        // The last byte may be the CR of a blank line.
        checked(bytes.length - CRLF.length - 1);
        return undefined;
      }
      checked(at);
      const end = at + CRLF.length;
      header = bytes.toString('latin1', CRLF.length, end);
      const begun = end < before ? [Buffer.from(bytes.subarray(end, before))] : [];
      return [...begun, chunk.subarray(Math.max(0, end - before))];
    },
    end() {
      if (header !== undefined) return header;
      const bytes = kept.view();
      checked(bytes.length - CRLF.length);
      return bytes.toString('latin1', CRLF.length);
    },
  };
}
