// A header block, kept byte for byte: read it, inherit from it, replace a field. RFC 5322 §2.2; RFC 6109 §2.1.1.2
// Strings here hold one byte per character (latin1), so that nothing is lost on the way through.
import { encodeWords } from './encoded-words.ts';

/** The header fields we read or write. Their names are spelled here and nowhere else. */
export const field = {
  bcc: 'Bcc',
  cc: 'Cc',
  contentDisposition: 'Content-Disposition',
  contentTransferEncoding: 'Content-Transfer-Encoding',
  contentType: 'Content-Type',
  date: 'Date',
  from: 'From',
  inReplyTo: 'In-Reply-To',
  messageId: 'Message-ID',
  mimeVersion: 'MIME-Version',
  originalSender: 'X-Mittente',
  received: 'Received',
  receipt: 'X-Ricevuta',
  receiptForm: 'X-TipoRicevuta',
  reference: 'X-Riferimento-Message-ID',
  references: 'References',
  replyTo: 'Reply-To',
  returnPath: 'Return-Path',
  securityCheck: 'X-VerificaSicurezza',
  subject: 'Subject',
  to: 'To',
  transport: 'X-Trasporto',
} as const;

export interface Field {
  /** As it was written; empty for a line that is no field. */
  readonly name: string;
  /** All its lines, name and final CRLF included. */
  readonly raw: string;
}

/** The fields in their order; joined, their `raw` strings are the block. */
export type Header = readonly Field[];

/** Reads a header block without the blank line that ends it. Lines that are no field become fields without a name. */
export function parseHeader(block: string): Header {
  const raws = block.match(/[^\n]*\n(?:[ \t][^\n]*\n)*(?:[ \t][^\n]+$)?|[^\n]+$/g) ?? [];
  return raws.map(raw => ({ name: /^([\x21-\x39\x3b-\x7e]+)[ \t]*:/.exec(raw)?.[1] ?? '', raw }));
}

export function headerBlock(header: Header): string {
  return header.map(({ raw }) => raw).join('');
}

export function fieldsOf(header: Header, name: string): readonly Field[] {
  const wanted = name.toLowerCase();
  return header.filter(one => one.name.toLowerCase() === wanted);
}

/** The values of every field of that name: unfolded, trimmed, not decoded. */
export function valuesOf(header: Header, name: string): readonly string[] {
  return fieldsOf(header, name).map(({ raw }) =>
    raw
      .slice(raw.indexOf(':') + 1)
      .replace(/\r?\n(?=[ \t])/g, '')
      .trim(),
  );
}

/** The value of the first field of that name. */
export function firstOf(header: Header, name: string): string | undefined {
  return valuesOf(header, name)[0];
}

/** The fields of these names as they stand, in the order of the block. */
export function inherited(header: Header, names: readonly string[]): string {
  const wanted = new Set(names.map(name => name.toLowerCase()));
  return headerBlock(header.filter(({ name }) => wanted.has(name.toLowerCase())));
}

/** The header with every field of that name taken away and `raw` put where the first one stood, or at the end. */
export function replaced(header: Header, name: string, raw: string): Header {
  const [first] = fieldsOf(header, name);
  const kept = header.flatMap(one => {
    if (one === first) return [{ name, raw }];
    return one.name.toLowerCase() === name.toLowerCase() ? [] : [one];
  });
  return first === undefined ? [...kept, { name, raw }] : kept;
}

/** One field as we write it, from ASCII text: folded before 78 characters where it has blanks. */
export function formatField(name: string, value: string): string {
  const [first = '', ...words] = value
    .replace(/[\r\n\0]+/g, ' ')
    .trim()
    .split(/(?<=[^ ]) /);
  const lines = [`${name}: ${first}`];
  for (const word of words) {
    const extended = `${lines.at(-1)} ${word}`;
    if (extended.length <= 78) lines.splice(-1, 1, extended);
    else lines.push(` ${word}`);
  }
  return `${lines.join('\r\n')}\r\n`;
}

/** A Subject field: our prefix and the decoded subject of the original, its encoded words made anew (pec.md section 2). */
export function formatSubject(prefix: string, subject: string): string {
  return formatField(field.subject, `${prefix}${encodeWords(subject)}`);
}
