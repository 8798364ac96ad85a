// Revocation lists: what one says, whether its issuer signed it, and how a certificate stands by it. RFC 5280 §5, §6.3
import { type KeyObject, verify } from 'node:crypto';
import type { Instant } from '../pec/values.ts';
import { oidOf, parse, parseTime } from './asn1.ts';
import { relativeNames } from './certificate.ts';
import { type DigestName, oids, type SignatureAlgorithm, signatureAlgorithms } from './oids.ts';

export interface RevocationList {
  /** The name of the issuer, comparable: the relative names, joined. */
  readonly issuer: string;
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
  /** Since when; by serial number, the content of its INTEGER in hex. */
  readonly revoked: ReadonlyMap<string, Instant>;
  readonly algorithm: SignatureAlgorithm & { readonly digest: DigestName };
  readonly signature: Buffer;
  /** The bytes that are signed. */
  readonly tbsCertList: Buffer;
}

/** What is asked for: `require` believes no certificate without a list, `prefer` looks where there is one, `off` never. */
export interface Revocation {
  readonly mode: 'require' | 'prefer' | 'off';
  readonly lists: readonly RevocationList[];
}

/** Why bytes are no revocation list, or none that is used here: one line. */
export class CrlError extends Error {}

const MAX_SIZE = 16 << 20;
/** Of the name of the issuer, and of the extensions of the list. */
const MAX_PART_SIZE = 1 << 16;
/** One more than there are. */
const MAX_FIELDS = 8;
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const EXTENSIONS = 0xa0;

/** The extensions that may be critical: neither changes what the list is about. */
const understood: readonly string[] = [oids.crlNumber, oids.authorityKeyIdentifier];

/**
 * Reads a complete list, DER, of at most 16 MiB; its signature is not verified yet. Throws CrlError if it is malformed,
 * has no nextUpdate, is signed with SHA-1 or MD5, or is about some certificates only: delta, indirect, partitioned.
 */
export function readCrl(der: Buffer): RevocationList {
  if (der.length > MAX_SIZE) throw new CrlError(`over ${MAX_SIZE} bytes`);
  try {
    return readCertificateList(der);
  } catch (trouble) {
    if (trouble instanceof CrlError) throw trouble;
    throw new CrlError(`malformed: ${trouble instanceof Error ? trouble.message : trouble}`, {
      cause: trouble,
    });
  }
}

function readCertificateList(der: Buffer): RevocationList {
  const [outer, more] = elementsOf(der);
  if (more !== undefined) throw new CrlError('malformed: bytes after the list');
  const [tbs, algorithm, signature] = elementsOf(inside(outer, SEQUENCE));
  const fields = elementsOf(inside(tbs, SEQUENCE)).take(MAX_FIELDS).toArray();
  // §5.1.2.1: 1 is version 2; without the field it is version 1, which has no extensions.
  if (fields[0]?.tag === INTEGER && fields.shift()?.value.toString('hex') !== '01') {
    throw new CrlError('malformed: unknown version');
  }
  const [innerAlgorithm, issuer, thisUpdate, nextUpdate, ...rest] = fields;
  const extensions = rest.at(-1)?.tag === EXTENSIONS ? rest.pop() : undefined;
  const revoked = rest.shift();
  if (tbs === undefined || issuer === undefined || rest.length > 0) {
    throw new CrlError('malformed: not the fields of a revocation list');
  }
  if (algorithm === undefined || innerAlgorithm?.whole.equals(algorithm.whole) !== true) {
    throw new CrlError('malformed: two algorithms of the signature');
  }
  if (Math.max(issuer.whole.length, extensions?.whole.length ?? 0) > MAX_PART_SIZE) {
    throw new CrlError(`malformed: a name, or extensions, over ${MAX_PART_SIZE} bytes`);
  }
  if (nextUpdate?.tag !== UTC_TIME && nextUpdate?.tag !== GENERALIZED_TIME) {
    throw new CrlError('no nextUpdate: it does not say until when it holds');
  }
  refuseUnknown(extensions);
  return {
    issuer: relativeNames(parse(issuer.whole)).join(),
    thisUpdate: instantOf(thisUpdate),
    nextUpdate: instantOf(nextUpdate),
    revoked: revoked === undefined ? new Map() : entriesOf(inside(revoked, SEQUENCE)),
    algorithm: algorithmOf(algorithm),
    signature: octetsOf(signature),
    tbsCertList: tbs.whole,
  };
}

function octetsOf(bitString: Element | undefined): Buffer {
  const value = inside(bitString, BIT_STRING);
  if (value[0] !== 0) throw new CrlError('malformed: a signature of broken octets');
  return value.subarray(1);
}

function algorithmOf(identifier: Element): RevocationList['algorithm'] {
  const [id] = elementsOf(inside(identifier, SEQUENCE));
  const dotted = id && oidOf(parse(id.whole));
  const { digest, ...algorithm } = signatureAlgorithms.get(dotted ?? '') ?? { name: `${dotted}` };
  if (!('keyType' in algorithm) || digest === undefined || digest === 'sha1') {
    throw new CrlError(`signed with ${algorithm.name}, which is not accepted`);
  }
  return { ...algorithm, digest };
}

function refuseUnknown(tagged: Element | undefined): void {
  for (const { id, isCritical } of extensionsIn(tagged?.value)) {
    const dotted = oidOf(parse(id.whole));
    if (dotted === oids.deltaCrlIndicator) throw new CrlError('a delta list: name the complete one');
    if (dotted === oids.issuingDistributionPoint) {
      throw new CrlError('about some certificates only (issuingDistributionPoint): name the complete list');
    }
    if (isCritical && !understood.includes(dotted)) {
      throw new CrlError(`critical extension ${dotted}, which is unknown here`);
    }
  }
}

/** The revoked certificates (§5.1.2.6); of two dates for one the earlier counts. */
function entriesOf(sequence: Buffer): ReadonlyMap<string, Instant> {
  const revoked = new Map<string, Instant>();
  for (const entry of elementsOf(sequence)) {
    const [serial, date, extensions] = elementsOf(inside(entry, SEQUENCE));
    for (const { id, isCritical } of extensionsIn(extensions?.whole)) {
      // Among them certificateIssuer (§5.3.3), by which an indirect list speaks of certificates of others.
      if (isCritical)
        throw new CrlError(`critical extension ${oidOf(parse(id.whole))} of an entry, unknown here`);
    }
    const number = inside(serial, INTEGER).toString('hex');
    // Only the shortest form is found again.
    if (/^(?:$|00[0-7]|ff[89a-f])/.test(number)) throw new CrlError('malformed: a serial number not in DER');
    const since = instantOf(date);
    const known = revoked.get(number);
    if (known === undefined || since < known) revoked.set(number, since);
  }
  return revoked;
}

/** `bytes` are one SEQUENCE of extensions. */
function* extensionsIn(bytes: Buffer = Buffer.alloc(0)): Generator<{ id: Element; isCritical: boolean }> {
  for (const sequence of elementsOf(bytes)) {
    for (const extension of elementsOf(inside(sequence, SEQUENCE))) {
      const [id, critical] = elementsOf(inside(extension, SEQUENCE));
      if (id === undefined) throw new CrlError('malformed: an empty extension');
      yield { id, isCritical: critical?.tag === BOOLEAN && critical.value[0] !== 0 };
    }
  }
}

function instantOf(time: Element | undefined): Instant {
  const kind = time?.tag === UTC_TIME ? 'UTCTime' : 'GeneralizedTime';
  const at = parseTime(kind, time?.value.toString('latin1') ?? '');
  if (at === undefined) throw new CrlError('malformed: a time that is none');
  return at;
}

interface Element {
  readonly tag: number;
  readonly value: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

/**
 * The DER elements that stand one after the other in `bytes`, which are not copied. A tree of nodes, as asn1.ts
 * makes it, would take a gigabyte for a list of the greatest size.
 */
function* elementsOf(bytes: Buffer): Generator<Element> {
  for (let start = 0; start < bytes.length; ) {
    const [tag, length] = [bytes[start] ?? 0, bytes[start + 1] ?? 0x80];
    const lengthSize = length < 0x80 ? 0 : length & 0x7f;
    const begin = start + 2 + lengthSize;
    const isPlain = (tag & 0x1f) !== 0x1f && length !== 0x80 && lengthSize <= 4 && begin <= bytes.length;
    const end = isPlain ? begin + (lengthSize === 0 ? length : bytes.readUIntBE(start + 2, lengthSize)) : 0;
    if (!isPlain || end > bytes.length) throw new CrlError('malformed: not DER');
    yield { tag, value: bytes.subarray(begin, end), whole: bytes.subarray(start, end) };
    start = end;
  }
}

function inside(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new CrlError(`malformed: no tag ${tag} where one belongs`);
  return element.value;
}

/** `unknown`: no list tells. */
export type Standing = { readonly revokedSince: Instant } | 'good' | 'unknown';

/**
 * How a certificate stands at the instant `at`, by those lists of its issuer that hold then. `issuer` is the name as in a
 * list; `issuerKey` must be one that may sign lists.
 */
export function standingOf(
  certificate: { readonly issuer: string; readonly serialNumber: string; readonly issuerKey: KeyObject },
  lists: readonly RevocationList[],
  at: Instant,
): Standing {
  const { issuer, serialNumber, issuerKey } = certificate;
  const telling = lists.filter(
    list =>
      list.issuer === issuer && list.thisUpdate <= at && at <= list.nextUpdate && isSignedBy(list, issuerKey),
  );
  for (const { revoked } of telling) {
    const since = revoked.get(serialNumber);
    if (since !== undefined && since <= at) return { revokedSince: since };
  }
  return telling.length > 0 ? 'good' : 'unknown';
}

/** Whether a list is signed by a key. An intermediate comes anew with each message: the key goes by its bytes. */
const signedBy = new WeakMap<RevocationList, Map<string, boolean>>();

function isSignedBy(list: RevocationList, key: KeyObject): boolean {
  const known = signedBy.get(list) ?? new Map<string, boolean>();
  signedBy.set(list, known);
  const name = key.export({ type: 'spki', format: 'der' }).toString('base64');
  const found = known.get(name) ?? holds(list, key);
  known.set(name, found);
  return found;
}

function holds({ algorithm, tbsCertList, signature }: RevocationList, key: KeyObject): boolean {
  try {
    return (
      key.asymmetricKeyType === algorithm.keyType && verify(algorithm.digest, tbsCertList, key, signature)
    );
  } catch {
    // What OpenSSL cannot even try does not hold.
    return false;
  }
}
