// Finds the delimiter lines of one multipart in bytes that come in chunks of any size. RFC 2046 §5.1.1

export interface DelimiterSink {
  /** Bytes between delimiters. What follows a delimiter line begins with the CRLF that ended it. */
  data(bytes: Buffer): void;
  /**
   * A delimiter line, from the offset of the CRLF before it, which belongs to it, to that of the CRLF that ends it.
   * Nothing follows a closing one but data.
   */
  delimiter(kind: 'next' | 'closing', start: number, end: number): void;
}

/** Push all bytes of the multipart's body, from the CRLF of the blank line before it; then end. */
export interface DelimiterReader {
  push(chunk: Buffer): void;
  end(): void;
}

const CR = 13;
const LINE_LIMIT = 1000;
const NONE = Buffer.alloc(0);

/**
 * A delimiter is a whole line: `--boundary`, `--` if it closes, blanks. A line that goes on otherwise is data, so a
 * boundary that begins with another one is told from it. Offsets given to `sink` count from `offset`, that of the
 * first byte pushed. Costs one native search per chunk, and one per line that begins like a delimiter.
 */
export function delimiterReader(boundary: string, offset: number, sink: DelimiterSink): DelimiterReader {
  const needle = Buffer.from(`\r\n--${boundary}`, 'latin1');
  let held = NONE;
  let base = offset;
  let closed = false;

  const emit = (bytes: Buffer) => {
    if (bytes.length > 0) sink.data(bytes);
  };
  const kindOf = (line: Buffer): 'next' | 'closing' | undefined => {
    const rest = /^(--)?[ \t]*$/.exec(line.toString('latin1', needle.length));
    if (rest === null) return undefined;
    return rest[1] === undefined ? 'next' : 'closing';
  };
  const report = (kind: 'next' | 'closing', start: number, end: number) => {
    closed = kind === 'closing';
    sink.delimiter(kind, base + start, base + end);
  };

  return {
    push(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      held = NONE;
      let from = 0;
      let searched = 0;
      while (!closed) {
        const at = bytes.indexOf(needle, searched);
        if (at < 0) break;
        const lineEnd = bytes.subarray(0, at + LINE_LIMIT).indexOf('\r\n', at + needle.length);
        if (lineEnd < 0 && bytes.length < at + LINE_LIMIT) {
          emit(bytes.subarray(from, at));
          held = Buffer.from(bytes.subarray(at));
          base += at;
          return;
        }
        const kind = lineEnd < 0 ? undefined : kindOf(bytes.subarray(at, lineEnd));
        searched = at + needle.length;
        if (kind === undefined) continue;
        emit(bytes.subarray(from, at));
        report(kind, at, lineEnd);
        from = lineEnd;
        searched = lineEnd;
      }
      const end = closed ? bytes.length : bytes.length - begunAt(bytes.subarray(from), needle);
      emit(bytes.subarray(from, end));
      held = Buffer.from(bytes.subarray(end));
      base += end;
    },
    end() {
      const kind = held.length >= needle.length ? kindOf(held) : undefined;
      if (kind === undefined) emit(held);
      else report(kind, 0, held.length);
    },
  };
}

/** How many bytes at the end of `bytes` may be the beginning of `needle`, whose only CR is its first byte. */
function begunAt(bytes: Buffer, needle: Buffer): number {
  const tail = bytes.subarray(Math.max(0, bytes.length - needle.length + 1));
  const cr = tail.lastIndexOf(CR);
  if (cr < 0) return 0;
  const begun = tail.subarray(cr);
  return needle.subarray(0, begun.length).equals(begun) ? begun.length : 0;
}
