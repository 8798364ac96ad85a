// The value of a Content-Type, Content-Disposition or Content-Transfer-Encoding field: a token and its parameters. RFC 2045 §5.1
import { type Header, valuesOf } from '../pec/header.ts';

export interface StructuredField {
  /** In lower case: `text/plain`, `inline`, `base64`. */
  readonly value: string;
  /** Names in lower case; values unquoted, otherwise as they stand (RFC 2231 is not undone). */
  readonly parameters: ReadonlyMap<string, string>;
}

const SPACE = /(?:[ \t\r\n]|\((?:[^()\\]|\\.)*\))*/sy;
const TOKEN = /[^\x00-\x20\x7f-\uffff()<>@,;:\\"/[\]?=]+/y;
const VALUE = new RegExp(`${TOKEN.source}(?:/${TOKEN.source})?`, 'y');
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
// Many programs forget the quotes around boundaries and file names that need them.
const SLOPPY_TOKEN = /[^\x00-\x20\x7f;"()]+/y;

/** Undefined for what cannot be read in one way only: a parameter given twice, an open quote, stray text. */
export function parseStructuredField(text: string): StructuredField | undefined {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    at += match[0].length;
    return match[1] ?? match[0];
  };
  const skipTo = (character: string): boolean => {
    take(SPACE);
    if (text[at] !== character) return false;
    at += 1;
    take(SPACE);
    return true;
  };
  take(SPACE);
  const value = take(VALUE)?.toLowerCase();
  if (value === undefined) return undefined;
  const parameters = new Map<string, string>();
  while (skipTo(';')) {
    const name = take(TOKEN)?.toLowerCase();
    if (name === undefined) continue;
    if (parameters.has(name) || !skipTo('=')) return undefined;
    const parameter = text[at] === '"' ? take(QUOTED)?.replace(/\\(.)/gs, '$1') : take(SLOPPY_TOKEN);
    if (parameter === undefined) return undefined;
    parameters.set(name, parameter);
  }
  return at === text.length ? { value, parameters } : undefined;
}

/** The only field of that name; `missing` if there is none, undefined if there are several or it cannot be read. */
export function structuredField(header: Header, name: string, missing: string): StructuredField | undefined {
  const values = valuesOf(header, name);
  return values.length > 1 ? undefined : parseStructuredField(values[0] ?? missing);
}
