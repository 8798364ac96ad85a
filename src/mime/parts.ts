// One body part of a received multipart, in chunks of any size: its form first, then its body. RFC 2046 §5.1
import { field, parseHeader } from '../pec/header.ts';
import { keptBytes } from './bytes.ts';
import { HeaderTooBigError, headerCollector } from './read-message.ts';
import { type StructuredField, structuredField } from './structured-field.ts';
import { decoded } from './transfer-encoding.ts';

const HEADER_LIMIT = 16 * 1024;

/** What the header of a part says of its body. */
export interface PartForm {
  readonly type: StructuredField;
  /** In lower case. */
  readonly encoding: string;
  /** The `name` and the `filename`, in lower case. */
  readonly names: readonly string[];
}

/** Why something cannot be used, in plain English, to be put after "has". */
export interface Problem {
  readonly problem: string;
}

export interface PartSink {
  /** Once, before any of the body. `at` is the offset of the body's first byte. */
  opened(form: PartForm | Problem, at: number): void;
  /** The body, but from the CRLF of the blank line before it. */
  body(bytes: Buffer): void;
}

/** Push the bytes of one part as a DelimiterSink hears them: from the CRLF that ended the delimiter line. */
export interface PartReader {
  push(bytes: Buffer): void;
  end(): void;
}

/** `offset` is that of the first byte pushed. */
export function partReader(offset: number, sink: PartSink): PartReader {
  const collector = headerCollector(HEADER_LIMIT);
  let state: 'header' | 'body' | 'given up' = 'header';
  const read = (bytes: Buffer): readonly Buffer[] | undefined => {
    try {
      return collector.push(bytes);
    } catch (trouble) {
      giveUp(trouble);
      return undefined;
    }
  };
  const giveUp = (trouble: unknown) => {
    if (!(trouble instanceof HeaderTooBigError)) throw trouble;
    state = 'given up';
    sink.opened({ problem: `a ${trouble.message}` }, offset);
  };
  const open = () => {
    const header = collector.end();
    state = 'body';
    sink.opened(partForm(header), offset + 2 + header.length + 2);
  };
  const afterDelimiter = withoutLineEnd(bytes => {
    if (state === 'body') sink.body(bytes);
    if (state !== 'header') return;
    const rest = read(bytes);
    if (rest === undefined) return;
    open();
    for (const piece of rest) sink.body(piece);
  });
  return {
    push: afterDelimiter,
    end() {
      if (state !== 'header') return;
      try {
        open();
      } catch (trouble) {
        giveUp(trouble);
      }
    },
  };
}

function partForm(block: string): PartForm | Problem {
  const header = parseHeader(block);
  const type = structuredField(header, field.contentType, 'text/plain');
  const disposition = structuredField(header, field.contentDisposition, 'inline');
  const encoding = structuredField(header, field.contentTransferEncoding, '7bit')?.value;
  if (type === undefined || disposition === undefined || encoding === undefined) {
    return { problem: 'a Content field that is there twice or cannot be read' };
  }
  const names = [type.parameters.get('name'), disposition.parameters.get('filename')];
  return {
    type,
    encoding,
    names: names.filter(name => name !== undefined).map(name => name.trim().toLowerCase()),
  };
}

/** The boundary of a multipart type, or undefined if it is none that RFC 2046 §5.1.1 allows. */
export function multipartBoundary({ parameters }: StructuredField): string | undefined {
  const boundary = parameters.get('boundary');
  return boundary !== undefined && /^[\x20-\x7e]{0,69}[\x21-\x7e]$/.test(boundary) ? boundary : undefined;
}

/** Whether there is nothing but line ends and blanks: what mail servers add after the last delimiter. */
export function blank(bytes: Buffer): boolean {
  return !/[^ \t\r\n]/.test(bytes.toString('latin1'));
}

/** Passes on all but the first two bytes: a CRLF. */
export function withoutLineEnd(push: (bytes: Buffer) => void): (bytes: Buffer) => void {
  let left = 2;
  return bytes => {
    const rest = bytes.subarray(left);
    left -= bytes.length - rest.length;
    if (rest.length > 0) push(rest);
  };
}

/** Keeps the body of a part, as a PartSink hears it. */
export interface BodyCollector {
  push(bytes: Buffer): void;
  content(encoding: string): Buffer | Problem;
}

/** `limit` is in decoded bytes. */
export function bodyCollector(limit: number): BodyCollector {
  const kept = keptBytes();
  // Quoted-printable may be three times as long as what it stands for, and has soft line ends besides.
  const encodedLimit = 4 * limit;
  let size = 0;
  const tooLong = { problem: `more than ${limit} bytes` };
  return {
    push: withoutLineEnd(bytes => {
      size += bytes.length;
      if (size <= encodedLimit) kept.append(bytes);
    }),
    content(encoding) {
      if (size > encodedLimit) return tooLong;
      const content = decoded(kept.view(), encoding);
      if (content === undefined) return { problem: `the unknown transfer encoding ${encoding}` };
      return content.length > limit ? tooLong : content;
    },
  };
}
