// A message plan as the bytes that will be signed: multipart/mixed with text, daticert.xml, postacert.eml. RFC 6109 §4.3, §4.4
import type { MessagePlan } from '../pec/compose.ts';
import { base64Lines, quotedPrintable } from './transfer-encoding.ts';

/**
 * The entity from its Content-Type field to its closing delimiter, without a final CRLF. `original` must be given if
 * the plan has one; it is streamed in byte for byte. No other line is longer than 76 characters, all end in CRLF.
 *
 * postacert.eml has no Content-Transfer-Encoding, which reads as 7bit. Base64 and quoted-printable are forbidden for
 * message/rfc822 (RFC 2046 §5.2.1). Whether 8-bit bytes will come is unknown while the header is written, and to
 * declare 8bit in case they do would mark every signed message, in all its enclosing parts, as one that an MTA may
 * have to convert for the next hop: a broken signature. Clients encode for us, since the access point hides 8BITMIME;
 * 8-bit bytes that come nevertheless pass unlabelled and untouched.
 */
export async function* messageEntity(
  plan: MessagePlan,
  original?: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  if (plan.original !== (original !== undefined))
    throw new TypeError('plan and original do not fit together');
  // Neither boundary is the beginning of the other: RFC 2046 lets readers compare no more than that (§5.1.1).
  const mixed = `${plan.boundary}-m`;
  const alternative = `${plan.boundary}-a`;
  const prologue = [
    `Content-Type: multipart/mixed;\r\n boundary="${mixed}"\r\n`,
    `\r\n--${mixed}\r\nContent-Type: multipart/alternative;\r\n boundary="${alternative}"\r\n`,
    `\r\n--${alternative}\r\n`,
    textPart('plain', plainLatin1(plan.text.plain)),
    `\r\n--${alternative}\r\n`,
    textPart('html', htmlLatin1(plan.text.html)),
    `\r\n--${alternative}--\r\n`,
  ];
  if (plan.certificationData !== undefined) {
    prologue.push(
      `\r\n--${mixed}\r\n`,
      'Content-Type: application/xml; name="daticert.xml"\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Disposition: inline; filename="daticert.xml"\r\n\r\n',
      base64Lines(Buffer.from(plan.certificationData)),
    );
  }
  if (original !== undefined) {
    prologue.push(
      `\r\n--${mixed}\r\n`,
      'Content-Type: message/rfc822; name="postacert.eml"\r\n',
      'Content-Disposition: inline; filename="postacert.eml"\r\n\r\n',
    );
  }
  yield Buffer.from(prologue.join(''), 'latin1');
  if (original !== undefined) yield* original;
  yield Buffer.from(`\r\n--${mixed}--`, 'latin1');
}

function textPart(subtype: 'plain' | 'html', text: string): string {
  return [
    `Content-Type: text/${subtype}; charset=ISO-8859-1\r\n`,
    'Content-Transfer-Encoding: quoted-printable\r\n',
    'Content-Disposition: inline\r\n\r\n',
    quotedPrintable(Buffer.from(text.replace(/\n/g, '\r\n'), 'latin1')),
  ].join('');
}

/** What ISO-8859-1 lacks and texts often have. */
const substitutes: readonly (readonly [RegExp, string])[] = [
  [/[\u2018-\u201b\u2032\u2039\u203a]/g, "'"],
  [/[\u201c-\u201f\u2033]/g, '"'],
  [/[\u2010-\u2015\u2212]/g, '-'],
  [/[\u2000-\u200a\u2028\u2029\u202f]/g, ' '],
  [/[\u200b-\u200f\u2060\ufeff]|\ufe0e|\ufe0f/g, ''],
  [/\u2026/g, '...'],
  [/\u2022/g, '*'],
  [/\u20ac/g, 'EUR'],
  [/\u2122/g, '(TM)'],
  [/\u0152/g, 'OE'],
  [/\u0153/g, 'oe'],
];

// A stray CR would be a line end to some and none to others; the other control characters have no place in a text.
const composed = (text: string) =>
  text
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, ' ');

function plainLatin1(text: string): string {
  const known = substitutes.reduce((so, [pattern, plain]) => so.replace(pattern, plain), composed(text));
  return known.replace(/[^\n\t\x20-\xff]/gu, '?');
}

function htmlLatin1(text: string): string {
  return composed(text).replace(/[^\n\t\x20-\xff]/gu, character => `&#${character.codePointAt(0)};`);
}
