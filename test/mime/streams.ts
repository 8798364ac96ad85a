// Streams for the tests of src/mime: bytes cut into chunks in any way, and collected again.
import fc from 'fast-check';

/** The bytes in chunks of these sizes, over and over; a size of 0 gives an empty chunk. */
export async function* chunked(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void> {
  yield* cut(bytes, sizes);
}

export function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** Cuts that hit every kind of place: single bytes, empty chunks, large ones. */
export const sizes = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 300 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map(some => [...some, 1]);

export async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A source that tells whether it was closed. */
export function watched(chunks: readonly Buffer[]): { source: AsyncIterable<Buffer>; closed: () => boolean } {
  let closed = false;
  async function* source() {
    try {
      yield* chunks;
    } finally {
      closed = true;
    }
  }
  return { source: source(), closed: () => closed };
}

/** Bytes made of pieces that matter to a reader of MIME, so that chance finds the corners. */
export function bytesOf(...pieces: readonly string[]) {
  return fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 12 })), { maxLength: 40 })
    .map(some => Buffer.from(some.join(''), 'latin1'));
}
