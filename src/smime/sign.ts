// A detached CMS SignedData around a finished digest, and the key that signs it. RFC 5652 §5, RFC 6109 §2.1
import { createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import type { Instant } from '../pec/values.ts';
import {
  encode,
  type Node,
  nothing,
  octetString,
  oid,
  primitive,
  sequence,
  set,
  setAround,
  smallInteger,
  tagged,
  taggedAround,
} from './asn1.ts';
import { readCertificate } from './certificate.ts';
import { digestOids, oids } from './oids.ts';

export { rfc822Names } from './certificate.ts';

const { Type } = forge.asn1;
const signAsync = promisify(sign);

/** The provider's key, wherever it lives. */
export interface Signer {
  /** DER, leaf first. */
  readonly certificates: readonly Buffer[];
  readonly keyType: 'rsa' | 'ec';
  /** Signs the SHA-256 of `data`: PKCS#1 v1.5, or ECDSA as DER. */
  sign(data: Buffer): Promise<Buffer>;
}

/**
 * A signer from PEM texts: certificates leaf first, and an unencrypted key.
 * Throws Error with one line that says what is wrong with them.
 */
export function pemSigner(certificatesPem: string, keyPem: string): Signer {
  const blocks = certificatesPem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const certificates = blocks.map(readPemCertificate);
  const [leaf] = certificates;
  if (leaf === undefined) throw new Error('the certificate file holds no PEM certificate');
  const key = readPemKey(keyPem);
  const keyType = key.asymmetricKeyType;
  if (keyType !== 'rsa' && keyType !== 'ec') throw new Error(`the key is of type ${keyType}, not RSA or EC`);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (keyType === 'rsa' && bits < 2048) throw new Error(`the RSA key has ${bits} bits, fewer than 2048`);
  if (!leaf.checkPrivateKey(key)) throw new Error('the key does not belong to the first certificate');
  return {
    certificates: certificates.map(certificate => certificate.raw),
    keyType,
    // The promise of the callback form: the work is done in the thread pool.
    sign: data => signAsync('sha256', data, key),
  };
}

function readPemCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error('a PEM certificate cannot be read', { cause });
  }
}

function readPemKey(pem: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new Error('the key is encrypted');
  }
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Error('the key file holds no PEM private key that can be read', { cause });
  }
}

/**
 * The DER of the ContentInfo of a detached signature over content whose SHA-256 is `sha256`, signed at `at`.
 * With an RSA key the same arguments give the same bytes. Rejects if the signer does.
 */
export async function signDigest(sha256: Buffer, at: Instant, signer: Signer): Promise<Buffer> {
  const [leaf] = signer.certificates;
  if (leaf === undefined) throw new Error('a signer without a certificate');
  const { issuer, serialNumber } = readCertificate(leaf);
  const attributes = [
    attribute(oids.contentType, oid(oids.data)),
    attribute(oids.messageDigest, octetString(sha256)),
    attribute(oids.signingTime, time(at)),
  ];
  // DER wants the members of a SET OF in the order of their encodings.
  const signedAttributes = Buffer.concat(attributes.map(encode).sort(Buffer.compare));
  const signature = await signer.sign(encode(setAround(signedAttributes)));
  const signerInfo = sequence(
    smallInteger(1),
    sequence(issuer, serialNumber),
    sequence(oid(digestOids.sha256)),
    taggedAround(0, signedAttributes),
    signer.keyType === 'rsa'
      ? sequence(oid(oids.rsaEncryption), nothing())
      : sequence(oid(oids.ecdsaWithSha256)),
    octetString(signature),
  );
  const signedData = sequence(
    smallInteger(1),
    set(sequence(oid(digestOids.sha256))),
    sequence(oid(oids.data)),
    taggedAround(0, Buffer.concat(signer.certificates)),
    set(signerInfo),
  );
  return encode(sequence(oid(oids.signedData), tagged(0, signedData)));
}

function attribute(type: string, value: Node): Node {
  return sequence(oid(type), set(value));
}

/** UTCTime for the years 1950 to 2049, GeneralizedTime for the rest (RFC 5652 §11.3). */
function time(at: Instant): Node {
  const digits = new Date(at).toISOString().replace(/\D/g, '').slice(0, 14);
  const year = Number(digits.slice(0, 4));
  return year >= 1950 && year < 2050
    ? primitive(Type.UTCTIME, `${digits.slice(2)}Z`)
    : primitive(Type.GENERALIZEDTIME, `${digits}Z`);
}
