// Encoded words: what a Subject says, and how we write it again in ASCII. RFC 2047
const WORD = String.raw`=\?[\w.:+-]+(?:\*[\w-]+)?\?[bqBQ]\?[^?\s]*\?=`;
const RUN = new RegExp(`${WORD}(?:\\s+${WORD})*`, 'g');

/**
 * The text of an unstructured field, given as bytes (latin1). Words that cannot be decoded stay as they are;
 * bytes outside words are read as UTF-8, or as ISO-8859-1 if they are not.
 */
export function decodeWords(value: string): string {
  let text = '';
  let from = 0;
  for (const { 0: run, index } of value.matchAll(RUN)) {
    text += rawText(value.slice(from, index)) + decodeRun(run);
    from = index + run.length;
  }
  return text + rawText(value.slice(from));
}

/** Neighbours of one charset are decoded together: some writers split a character between two words. */
function decodeRun(run: string): string {
  let text = '';
  let pending = { charset: '', bytes: '', words: '' };
  const flush = () => {
    text += decoded(pending.bytes, pending.charset) ?? pending.words;
  };
  for (const word of run.split(/\s+/)) {
    const [, label = '', encoding = '', coded = ''] = word.split('?');
    const charset = label.replace(/\*.*$/, '').toLowerCase();
    if (charset !== pending.charset) {
      flush();
      pending = { charset, bytes: '', words: '' };
    }
    pending.words += (pending.words && ' ') + word;
    pending.bytes += encoding.toLowerCase() === 'b' ? fromBase64(coded) : fromQ(coded);
  }
  flush();
  return text;
}

function decoded(bytes: string, charset: string): string | undefined {
  try {
    return new TextDecoder(charset).decode(toBytes(bytes));
  } catch {
    return undefined;
  }
}

function fromBase64(coded: string): string {
  try {
    return atob(coded.replace(/=+$/, ''));
  } catch {
    return coded;
  }
}

function fromQ(coded: string): string {
  return coded
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function rawText(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(toBytes(latin1));
  } catch {
    return latin1;
  }
}

function toBytes(latin1: string): Uint8Array {
  return Uint8Array.from(latin1, character => character.charCodeAt(0));
}

/** Text for an unstructured field: as it is if it is short plain ASCII, else encoded words of UTF-8, base64, at most 75 characters each. */
export function encodeWords(text: string): string {
  const plain = text
    .toWellFormed()
    .replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim();
  if (/^[\x20-\x7e]*$/.test(plain) && !plain.includes('=?') && !/\S{900}/.test(plain)) return plain;
  const words: string[] = [];
  let chunk = '';
  for (const character of plain) {
    if (utf8(chunk + character).length > 45) {
      words.push(chunk);
      chunk = '';
    }
    chunk += character;
  }
  return [...words, chunk].map(word => `=?UTF-8?B?${btoa(utf8(word))}?=`).join(' ');
}

function utf8(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
