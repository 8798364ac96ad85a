// The transfer encodings of whole, small parts: texts, certification data, signatures. RFC 2045 §6
import { encode, wrap } from 'nodemailer/lib/qp';

/** Base64 in lines of 76 characters, without a final CRLF. */
export function base64Lines(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString('base64')
    .replace(/.{76}(?=.)/g, '$&\r\n');
}

/** Quoted-printable in lines of at most 76 characters. `bytes` is text whose lines end in CRLF; no other CR or LF. */
export function quotedPrintable(bytes: Buffer): string {
  return wrap(encode(bytes), 76);
}

/** The bytes that an encoded part stands for, or undefined for an encoding that RFC 2045 does not know. */
export function decoded(body: Buffer, encoding: string): Buffer | undefined {
  switch (encoding) {
    case '7bit':
    case '8bit':
    case 'binary':
      return body;
    case 'base64':
      return Buffer.from(body.toString('latin1'), 'base64');
    case 'quoted-printable':
      return Buffer.from(
        body
          .toString('latin1')
          .split('\r\n')
          .map(line => line.trimEnd())
          .join('\r\n')
          .replace(/=\r\n|=$/g, '')
          .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        'latin1',
      );
  }
  return undefined;
}
