// A detached CMS SignedData as other providers write it: what it says, and whether it holds. RFC 5652 §5, RFC 6109 §2.2.2
import { type KeyObject, publicDecrypt, verify, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import type { Instant } from '../pec/values.ts';
import {
  children,
  content,
  encode,
  isTagged,
  isUniversal,
  type Node,
  nothing,
  octetString,
  octetsOf,
  oid,
  oidOf,
  parse,
  parseTime,
  pieces,
  sequence,
  sequenceOf,
  setAround,
  setOf,
} from './asn1.ts';
import { extensionValue, readCertificate } from './certificate.ts';
import { type DigestName, digestOids, oids, type SignatureAlgorithm, signatureAlgorithms } from './oids.ts';

export type { DigestName } from './oids.ts';

const { Type } = forge.asn1;
const MAX_SIZE = 1 << 20;
const MAX_CERTIFICATES = 10;
const digestNames = Object.keys(digestOids) as DigestName[];

/** A signature that holds. Whether its signer is to be trusted is another question. */
export interface Signature {
  /** The signer's, DER. */
  readonly certificate: Buffer;
  /** All that came with the signature, at most ten. */
  readonly certificates: readonly Buffer[];
  /** The digest of the content: what the SignerInfo says, not `micalg`. */
  readonly digest: DigestName;
  /** As in `rsaEncryption` or `ecdsa-with-SHA256`. */
  readonly signatureAlgorithm: string;
  readonly signingTime?: Instant;
}

/** A signature that was read, and not yet verified. */
export interface ParsedSignature {
  readonly certificate: Buffer;
  readonly certificates: readonly Buffer[];
  readonly digest: DigestName;
  readonly algorithm: SignatureAlgorithm;
  readonly value: Buffer;
  /** Absent: the signature is over the digest of the content itself. */
  readonly attributes?: SignedAttributes;
}

interface SignedAttributes {
  /** The bytes that are signed: the attributes as a SET, in the order in which they came. */
  readonly signed: Buffer;
  readonly messageDigest: Buffer;
  readonly signingTime?: Instant;
}

/** Why a signature is none, or does not hold. */
export class SignatureError extends Error {}

/**
 * Reads a detached signature, DER or BER with indefinite lengths. Throws SignatureError if it is malformed or oversized,
 * brings its content along, has not exactly one signer, or lacks the signer's certificate.
 */
export function readSignature(der: Buffer): ParsedSignature {
  if (der.length > MAX_SIZE) throw new SignatureError(`signature over ${MAX_SIZE} bytes`);
  try {
    return readContentInfo(der);
  } catch (trouble) {
    if (trouble instanceof SignatureError) throw trouble;
    throw new SignatureError(`malformed signature: ${messageOf(trouble)}`, { cause: trouble });
  }
}

function readContentInfo(der: Buffer): ParsedSignature {
  const [contentType, wrapped] = sequenceOf(parse(der));
  if (oidOf(contentType) !== oids.signedData) throw new SignatureError('no SignedData');
  if (!isTagged(wrapped, 0)) throw new SignatureError('SignedData without content');
  const [, , encapsulated, ...rest] = sequenceOf(children(wrapped)[0]);
  const [encapsulatedType, ...attached] = sequenceOf(encapsulated);
  if (oidOf(encapsulatedType) !== oids.data) throw new SignatureError('not a signature over data');
  if (attached.length > 0) throw new SignatureError('the signature brings its content along');
  const [signer, ...others] = setOf(rest.at(-1));
  if (signer === undefined || others.length > 0) throw new SignatureError('not exactly one signer');

  const bag = rest.find(node => isTagged(node, 0));
  const choices = bag === undefined ? [] : children(bag).filter(node => isUniversal(node, Type.SEQUENCE));
  if (choices.length > MAX_CERTIFICATES) {
    throw new SignatureError(`more than ${MAX_CERTIFICATES} certificates`);
  }
  return readSignerInfo(signer, choices.map(encode));
}

function readSignerInfo(signer: Node, certificates: readonly Buffer[]): ParsedSignature {
  const fields = sequenceOf(signer);
  const [, identifier, digestAlgorithm] = fields.splice(0, 3);
  const attributes = isTagged(fields[0], 0) ? fields.shift() : undefined;
  const [signatureAlgorithm, value] = fields;
  const certificate = identifier && certificates.find(candidate => identifies(identifier, candidate));
  if (certificate === undefined) throw new SignatureError("the signer's certificate is not included");
  const digestOid = oidOf(sequenceOf(digestAlgorithm)[0]);
  const digest = digestNames.find(name => digestOids[name] === digestOid);
  if (digest === undefined) throw new SignatureError(`unknown digest algorithm ${digestOid}`);
  const algorithmOid = oidOf(sequenceOf(signatureAlgorithm)[0]);
  const algorithm = signatureAlgorithms.get(algorithmOid);
  if (algorithm === undefined) throw new SignatureError(`unknown signature algorithm ${algorithmOid}`);
  // node:crypto verifies ECDSA over data only, not over a finished digest.
  if (attributes === undefined && algorithm.keyType === 'ec') {
    throw new SignatureError(`${algorithm.name} without signed attributes is not supported`);
  }
  return {
    certificate,
    certificates,
    digest,
    algorithm,
    value: octetsOf(value),
    ...(attributes && { attributes: readAttributes(attributes) }),
  };
}

/** Whether a SignerIdentifier, issuer and serial number or [0] subject key identifier, means this certificate. */
function identifies(identifier: Node, certificateDer: Buffer): boolean {
  const certificate = readCertificate(certificateDer);
  if (isTagged(identifier, 0)) {
    const keyIdentifier = extensionValue(certificate, oids.subjectKeyIdentifier);
    return keyIdentifier !== undefined && octetsOf(keyIdentifier).equals(pieces(identifier));
  }
  return encode(identifier).equals(encode(sequence(certificate.issuer, certificate.serialNumber)));
}

function readAttributes(node: Node): SignedAttributes {
  const attributes = children(node);
  const single = (type: string, name: string): Node | undefined => {
    const [found, ...more] = attributes.filter(attribute => oidOf(sequenceOf(attribute)[0]) === type);
    if (found === undefined) return undefined;
    const [value, ...others] = setOf(sequenceOf(found)[1]);
    if (value === undefined || more.length + others.length > 0) {
      throw new SignatureError(`not exactly one ${name} among the signed attributes`);
    }
    return value;
  };
  const contentType = single(oids.contentType, 'contentType');
  const messageDigest = single(oids.messageDigest, 'messageDigest');
  const signingTime = single(oids.signingTime, 'signingTime');
  if (contentType === undefined || oidOf(contentType) !== oids.data) {
    throw new SignatureError('the signed attributes do not say that data is signed');
  }
  if (messageDigest === undefined) throw new SignatureError('no messageDigest among the signed attributes');
  return {
    signed: encode(setAround(Buffer.concat(attributes.map(encode)))),
    messageDigest: octetsOf(messageDigest),
    ...(signingTime && { signingTime: instantOf(signingTime) }),
  };
}

function instantOf(time: Node): Instant {
  const kind = isUniversal(time, Type.UTCTIME) ? 'UTCTime' : 'GeneralizedTime';
  const at = parseTime(kind, content(time));
  if (at === undefined) throw new SignatureError('a signingTime that is no time');
  return at;
}

/**
 * Verifies a signature against the digest of the signed bytes; `digestOf` gives undefined for one that was not computed.
 * Throws SignatureError if the signature does not hold.
 */
export function verifySignature(
  parsed: ParsedSignature,
  digestOf: (name: DigestName) => Buffer | undefined,
): Signature {
  const { certificate, certificates, digest, algorithm, attributes } = parsed;
  const actual = digestOf(digest);
  if (actual === undefined) throw new SignatureError(`the digest ${digest} is not supported`);
  const key = publicKeyOf(certificate);
  if (key.asymmetricKeyType !== algorithm.keyType) {
    throw new SignatureError(`${algorithm.name} by a key of type ${key.asymmetricKeyType}`);
  }
  if (attributes !== undefined && !attributes.messageDigest.equals(actual)) {
    throw new SignatureError('the content is not what was signed: its digest differs');
  }
  if (!holds(parsed, actual, key)) throw new SignatureError('the value of the signature is wrong');
  return {
    certificate,
    certificates,
    digest,
    signatureAlgorithm: algorithm.name,
    ...(attributes?.signingTime !== undefined && { signingTime: attributes.signingTime }),
  };
}

function publicKeyOf(certificate: Buffer): KeyObject {
  try {
    return new X509Certificate(certificate).publicKey;
  } catch (cause) {
    throw new SignatureError("the signer's certificate cannot be read", { cause });
  }
}

function holds({ digest, attributes, value }: ParsedSignature, actual: Buffer, key: KeyObject): boolean {
  try {
    if (attributes !== undefined) return verify(digest, attributes.signed, key, value);
    // PKCS#1 v1.5 around the DigestInfo (RFC 8017 §9.2): compared as a whole, never taken apart.
    const info = sequence(sequence(oid(digestOids[digest]), nothing()), octetString(actual));
    return publicDecrypt(key, value).equals(encode(info));
  } catch {
    // What OpenSSL cannot even try, as with a key too short for the digest, does not hold either.
    return false;
  }
}

function messageOf(trouble: unknown): string {
  return trouble instanceof Error ? trouble.message : String(trouble);
}
