// An entity and the signature over it, as one S/MIME message written in one pass. RFC 8551 §3.5.3; RFC 6109 §4.3
import { createHash } from 'node:crypto';
import { batched, tapped } from './bytes.ts';
import { base64Lines } from './transfer-encoding.ts';

/**
 * The whole message: `header` (latin1, each field with its CRLF, no MIME fields), then multipart/signed over `entity`.
 * `boundary` is the one of the message plan. `sign` is handed the SHA-256 of exactly the entity's bytes, once, after
 * the last of them; it answers the detached CMS SignedData in DER. The message ends in CRLF.
 */
export function signedMultipart(
  header: string,
  boundary: string,
  entity: AsyncIterable<Buffer>,
  sign: (sha256: Buffer) => Promise<Buffer>,
): AsyncIterable<Buffer> {
  return batched(signedParts(header, `${boundary}-s`, entity, sign));
}

async function* signedParts(
  header: string,
  boundary: string,
  entity: AsyncIterable<Buffer>,
  sign: (sha256: Buffer) => Promise<Buffer>,
): AsyncGenerator<Buffer, void> {
  yield Buffer.from(
    [
      header,
      'MIME-Version: 1.0\r\n',
      'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n',
      ` micalg=sha-256; boundary="${boundary}"\r\n`,
      `\r\n--${boundary}\r\n`,
    ].join(''),
    'latin1',
  );
  const hash = createHash('sha256');
  yield* tapped(entity, chunk => void hash.update(chunk));
  const signature = await sign(hash.digest());
  yield Buffer.from(
    [
      `\r\n--${boundary}\r\n`,
      'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n',
      base64Lines(signature),
      `\r\n--${boundary}--\r\n`,
    ].join(''),
    'latin1',
  );
}
