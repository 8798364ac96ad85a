// LDIF, read tolerantly: the providers' directory is folded and spaced sloppily in practice. RFC 2849, RFC 6109 §4.5.10

/** A value as the file holds it: text, or the bytes of a base64 value (`::`). */
export type LdifValue = string | Uint8Array;

export interface LdifEntry {
  readonly dn: string;
  /** Where the entry starts, from 1. */
  readonly line: number;
  /** By attribute name in lower case, without `;binary` (a way of transfer, not another attribute: RFC 4522). */
  readonly attributes: ReadonlyMap<string, readonly LdifValue[]>;
}

export interface Ldif {
  readonly entries: readonly LdifEntry[];
  /** What was read although it is not as RFC 2849 wants it, or could not be read: one sentence each, with its line. */
  readonly oddities: readonly string[];
}

/** One `name: value` with its folded lines joined. */
interface Field {
  readonly line: number;
  readonly name: string;
  readonly mark: ':' | '::' | ':<';
  readonly value: string;
  /** A blank line stands between this field and the one before. */
  readonly apart: boolean;
}

const FIELD = /^([A-Za-z0-9][A-Za-z0-9.;-]*)(::|:<|:)(.*)$/s;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Reads `text` and never fails: what cannot be read is named in `oddities` and left out.
 * An entry lasts until the next `dn:`, whatever the blank lines say.
 */
export function parseLdif(text: string): Ldif {
  const oddities: string[] = [];
  const entries: { dn: string; line: number; attributes: Map<string, LdifValue[]> }[] = [];
  for (const field of fields(text, oddities)) {
    const name = field.name.toLowerCase().replace(/;binary(?=;|$)/, '');
    const value = decoded(field, oddities);
    const entry = entries.at(-1);
    if (value === undefined || (name === 'version' && entry === undefined)) continue;
    if (name === 'dn') {
      if (entry !== undefined && !field.apart) oddities.push(`line ${field.line}: no blank line before dn`);
      entries.push({ dn: asText(value), line: field.line, attributes: new Map() });
    } else if (entry === undefined) {
      oddities.push(`line ${field.line}: ${field.name} before the first dn, left out`);
    } else {
      if (field.apart) oddities.push(`line ${field.line}: blank line inside the entry`);
      entry.attributes.set(name, [...(entry.attributes.get(name) ?? []), value]);
    }
  }
  return { entries, oddities };
}

/** The values of an attribute (name in lower case) as text; base64 values are UTF-8. */
export function textsOf(entry: LdifEntry, attribute: string): string[] {
  return (entry.attributes.get(attribute) ?? []).map(asText);
}

/** The values of an attribute (name in lower case) that the file gives in base64. */
export function bytesOf(entry: LdifEntry, attribute: string): Uint8Array[] {
  return (entry.attributes.get(attribute) ?? []).filter(value => typeof value !== 'string');
}

function asText(value: LdifValue): string {
  return typeof value === 'string' ? value : new TextDecoder().decode(value);
}

function fields(text: string, oddities: string[]): Field[] {
  const found: { line: number; text: string; apart: boolean }[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  let apart = false;
  for (const [index, line] of lines.entries()) {
    const number = index + 1;
    const last = found.at(-1);
    if (line === '') {
      apart = true;
    } else if (last !== undefined && /^[ \t]/.test(line)) {
      if (line.startsWith('\t')) oddities.push(`line ${number}: folded with a tab`);
      if (apart) oddities.push(`line ${number}: blank line inside a value`);
      // A fold takes exactly one character: further blanks belong to the value.
      last.text += line.slice(1);
      apart = false;
    } else if (last !== undefined && isLostBase64(line, last.text)) {
      oddities.push(`line ${number}: base64 folded without a blank`);
      last.text += line;
      apart = false;
    } else {
      // A comment leaves the entry after it as far apart as it was.
      const comment = last?.text.startsWith('#') === true;
      found.push({ line: number, text: line, apart: apart || (comment && last.apart) });
      apart = false;
    }
  }
  return found.flatMap(({ text: joined, ...where }) => {
    const [, name, mark, value] = FIELD.exec(joined) ?? [];
    if (name !== undefined && value !== undefined) {
      return [{ ...where, name, mark: mark as Field['mark'], value: value.trim() }];
    }
    if (!joined.startsWith('#'))
      oddities.push(`line ${where.line}: neither attribute nor continuation, left out`);
    return [];
  });
}

/** A line without colon after an unfinished base64 value is its continuation, though nothing says so. */
function isLostBase64(line: string, before: string): boolean {
  return FIELD.exec(before)?.[2] === '::' && BASE64.test(line.trim());
}

function decoded({ line, name, mark, value }: Field, oddities: string[]): LdifValue | undefined {
  switch (mark) {
    case ':':
      return value;
    case ':<':
      oddities.push(`line ${line}: ${name} by reference, left out`);
      return undefined;
    case '::':
      try {
        return Uint8Array.from(atob(value), character => character.charCodeAt(0));
      } catch {
        oddities.push(`line ${line}: ${name} is not base64, left out`);
        return undefined;
      }
  }
}
