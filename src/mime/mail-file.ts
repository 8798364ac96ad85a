// A message from a file on disk, where lines may end in LF alone: mail as SMTP carries it. RFC 5321 §2.3.8

/** The bytes of `source` with CRLF for every LF that no CR precedes. */
export async function* withCrlf(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let afterCr = false;
  for await (const chunk of source) {
    const pieces: Buffer[] = [];
    let from = 0;
    for (let lf = chunk.indexOf(0x0a); lf >= 0; lf = chunk.indexOf(0x0a, lf + 1)) {
      if (lf === 0 ? afterCr : chunk[lf - 1] === 0x0d) continue;
      pieces.push(chunk.subarray(from, lf), CR);
      from = lf;
    }
    pieces.push(chunk.subarray(from));
    if (chunk.length > 0) afterCr = chunk.at(-1) === 0x0d;
    yield pieces.length === 1 ? chunk : Buffer.concat(pieces);
  }
}

const CR = Buffer.from('\r');
