// From a signer's certificate to a trust anchor, and whether every certificate on the way holds. RFC 5280 §6.1, RFC 6109 §5.5.2
import { type KeyObject, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import type { Instant } from '../pec/values.ts';
import { bitOf, booleanOf, content, integerOf, isTagged, isUniversal, oidOf, sequenceOf } from './asn1.ts';
import {
  alternativeNames,
  type Certificate,
  extensionValue,
  readCertificate,
  relativeNames,
} from './certificate.ts';
import { type Revocation, standingOf } from './crl.ts';
import { constrainedNames, forbiddenName, readNameConstraints } from './name-constraints.ts';
import { oids, signatureAlgorithms } from './oids.ts';

/** `chain` is in DER, from the leaf to the anchor, both included. */
export type PathResult =
  | { readonly ok: true; readonly chain: readonly Buffer[] }
  | { readonly ok: false; readonly reason: string };

const MAX_DEPTH = 4;
const MAX_CANDIDATES = 10;
const DIGITAL_SIGNATURE = 0;
const KEY_CERT_SIGN = 5;
const CRL_SIGN = 6;
const curves: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** The extensions that may be critical. Policies are not asked for: any will do. */
const understood: readonly string[] = [
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectAltName,
  oids.nameConstraints,
  oids.certificatePolicies,
];

/** A certificate, read once. */
interface Link {
  readonly der: Buffer;
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  readonly fields: Certificate;
  /** The names, comparable. */
  readonly subject: string;
  readonly issuer: string;
}

/**
 * Looks for a path from `leaf` over at most ten `candidates` to one of the `anchors` (all DER), at most four certificates long,
 * all of them good at the instant `at`, and none but the anchor revoked then, as far as `revocation` asks for that.
 * Candidates that cannot be read count as absent. Never throws.
 */
export function checkPath(
  leaf: Buffer,
  candidates: readonly Buffer[],
  anchors: readonly Buffer[],
  at: Instant,
  revocation: Revocation = { mode: 'off', lists: [] },
): PathResult {
  const start = linkOf(leaf);
  if (start === undefined) return { ok: false, reason: 'the certificate cannot be read' };
  const trusted = readable(anchors);
  const pool = [...trusted, ...readable(candidates.slice(0, MAX_CANDIDATES))];
  let reason: string | undefined;
  for (const { chain, isAnchored } of chainsFrom([start], pool, trusted.length)) {
    const problem = isAnchored
      ? (problemOf(chain, at) ?? revocationProblem(chain, at, revocation))
      : `no path to a trust anchor beyond ${nameOf(chain.at(-1))}`;
    if (problem === undefined) return { ok: true, chain: chain.map(({ der }) => der) };
    reason ??= problem;
  }
  return { ok: false, reason: reason ?? 'no path to a trust anchor' };
}

function readable(certificates: readonly Buffer[]): Link[] {
  return certificates.map(linkOf).filter(link => link !== undefined);
}

/** Anchors come back with every call: what was read of them is kept as long as they are. */
const links = new WeakMap<Buffer, Link>();

function linkOf(der: Buffer): Link | undefined {
  const known = links.get(der);
  if (known !== undefined) return known;
  try {
    const x509 = new X509Certificate(der);
    const fields = readCertificate(der);
    const [subject, issuer] = [fields.subject, fields.issuer].map(name => relativeNames(name).join());
    if (subject === undefined || issuer === undefined) return undefined;
    const link = { der, x509, key: x509.publicKey, fields, subject, issuer };
    links.set(der, link);
    return link;
  } catch {
    return undefined;
  }
}

/**
 * Every chain of names that begins with `path` and goes on until an anchor, or until nothing follows: certificates
 * that issue each other in a circle end at the greatest depth. The first `anchors` of the pool are the trust anchors.
 */
function* chainsFrom(
  path: readonly Link[],
  pool: readonly Link[],
  anchors: number,
): Generator<{ readonly chain: readonly Link[]; readonly isAnchored: boolean }> {
  let isEnd = true;
  for (const [index, issuer] of path.length < MAX_DEPTH ? pool.entries() : []) {
    if (issuer.subject !== path.at(-1)?.issuer) continue;
    isEnd = false;
    const chain = [...path, issuer];
    if (index < anchors) yield { chain, isAnchored: true };
    else yield* chainsFrom(chain, pool, anchors);
  }
  if (isEnd) yield { chain: path, isAnchored: false };
}

/** Why a chain that ends at an anchor does not hold at an instant, or undefined if it does. */
function problemOf(chain: readonly Link[], at: Instant): string | undefined {
  // From the anchor downwards, and before all else: no key is used and nothing is looked into that nobody vouches for.
  const forged = chain.findLast((link, index) => {
    const issuer = chain[index + 1];
    return issuer !== undefined && !link.x509.verify(issuer.key);
  });
  if (forged !== undefined) return `${nameOf(forged)}: not signed by the issuer that it names`;
  for (const [index, link] of chain.entries()) {
    try {
      const problem =
        validityProblem(link, at) ??
        keyProblem(link) ??
        (index < chain.length - 1 ? algorithmProblem(link) : undefined) ??
        extensionProblem(link.fields) ??
        (index === 0 ? leafProblem(link.fields) : authorityProblem(link.fields, chain.slice(0, index)));
      if (problem !== undefined) return `${nameOf(link)}: ${problem}`;
    } catch (trouble) {
      return `${nameOf(link)}: malformed: ${trouble instanceof Error ? trouble.message : trouble}`;
    }
  }
  return undefined;
}

function validityProblem({ x509 }: Link, at: Instant): string | undefined {
  const { validFromDate, validToDate } = x509;
  return validFromDate.getTime() <= at && at <= validToDate.getTime()
    ? undefined
    : `not valid at ${new Date(at).toISOString()}, but from ${x509.validFrom} to ${x509.validTo}`;
}

function keyProblem({ key }: Link): string | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    return modulusLength < 2048 ? `an RSA key of ${modulusLength} bits, fewer than 2048` : undefined;
  }
  if (key.asymmetricKeyType === 'ec' && curves.includes(namedCurve)) return undefined;
  return `a key of type ${key.asymmetricKeyType} ${namedCurve ?? ''}`.trimEnd();
}

function algorithmProblem({ fields }: Link): string | undefined {
  const algorithm = signatureAlgorithms.get(fields.signatureAlgorithm);
  if (algorithm?.digest !== undefined && algorithm.digest !== 'sha1') return undefined;
  return `signed with ${algorithm?.name ?? fields.signatureAlgorithm}, which is not accepted`;
}

function extensionProblem(fields: Certificate): string | undefined {
  for (const [id, { critical }] of fields.extensions) {
    if (critical && !understood.includes(id)) return `critical extension ${id}, which is unknown here`;
  }
  const purposes = extensionValue(fields, oids.extendedKeyUsage);
  const accepted: readonly string[] = [oids.emailProtection, oids.anyExtendedKeyUsage];
  if (purposes !== undefined && !sequenceOf(purposes).some(purpose => accepted.includes(oidOf(purpose)))) {
    return 'extended key usage without emailProtection';
  }
  return undefined;
}

function leafProblem(fields: Certificate): string | undefined {
  const usage = extensionValue(fields, oids.keyUsage);
  return usage !== undefined && bitOf(usage, DIGITAL_SIGNATURE)
    ? undefined
    : 'key usage without digitalSignature';
}

/** `below` runs from the leaf up to the certificate that this authority issued. */
function authorityProblem(fields: Certificate, below: readonly Link[]): string | undefined {
  const constraints = extensionValue(fields, oids.basicConstraints);
  const [isAuthority, pathLength] = constraints === undefined ? [] : sequenceOf(constraints);
  if (!isUniversal(isAuthority, forge.asn1.Type.BOOLEAN) || !booleanOf(isAuthority)) {
    return 'not a certification authority';
  }
  // Self-issued certificates are a change of keys, no step on the path (§4.2.1.9); the leaf always is one.
  const steps = below.filter(({ subject, issuer }, index) => index === 0 || subject !== issuer);
  if (pathLength !== undefined && steps.length - 1 > integerOf(pathLength)) {
    return 'more authorities below it than its path length allows';
  }
  const usage = extensionValue(fields, oids.keyUsage);
  if (usage !== undefined && !bitOf(usage, KEY_CERT_SIGN)) return 'key usage without keyCertSign';
  const names = fields.extensions.get(oids.nameConstraints);
  if (names === undefined) return undefined;
  const limits = readNameConstraints(names.value);
  for (const link of steps) {
    const forbidden = forbiddenName(limits, constrainedNames(link.fields));
    if (forbidden !== undefined) return `name constraints: ${nameOf(link)}: ${forbidden}`;
  }
  return undefined;
}

/** As problemOf, of a chain that holds but for this: every key in it is vouched for. §6.3 */
function revocationProblem(
  chain: readonly Link[],
  at: Instant,
  { mode, lists }: Revocation,
): string | undefined {
  for (const [index, { key: issuerKey, fields }] of chain.slice(1).entries()) {
    const link = chain[index];
    if (mode === 'off' || link === undefined) return undefined;
    const usage = extensionValue(fields, oids.keyUsage);
    const signsLists = usage === undefined || bitOf(usage, CRL_SIGN);
    const serialNumber = Buffer.from(content(link.fields.serialNumber), 'latin1').toString('hex');
    const certificate = { issuer: link.issuer, serialNumber, issuerKey };
    const standing = standingOf(certificate, signsLists ? lists : [], at);
    if (typeof standing === 'object') {
      return `${nameOf(link)}: revoked since ${new Date(standing.revokedSince).toISOString()}`;
    }
    if (standing === 'unknown' && mode === 'require') {
      return `${nameOf(link)}: no revocation list of its issuer for ${new Date(at).toISOString()}`;
    }
  }
  return undefined;
}

function nameOf(link: Link | undefined): string {
  return (link?.x509.subject ?? '').replaceAll('\n', ', ');
}

/** In what a provider's certificate departs from RFC 6109 §5.5.2, one line each. Throws Error if it is no certificate. */
export function profileDeviations(leaf: Buffer): string[] {
  const fields = readCertificate(leaf);
  const { extensions } = fields;
  const keyUsage = extensionValue(fields, oids.keyUsage);
  const authorityKey = extensionValue(fields, oids.authorityKeyIdentifier);
  const alternative = alternativeNames(fields);
  const deviations: readonly (readonly [boolean, string])[] = [
    [keyUsage === undefined || !bitOf(keyUsage, DIGITAL_SIGNATURE), 'no digitalSignature in keyUsage'],
    [extensions.get(oids.keyUsage)?.critical === false, 'keyUsage is not critical'],
    [
      authorityKey === undefined || !isTagged(sequenceOf(authorityKey)[0], 0),
      'no authorityKeyIdentifier with a keyIdentifier',
    ],
    [extensions.get(oids.authorityKeyIdentifier)?.critical === true, 'authorityKeyIdentifier is critical'],
    [!extensions.has(oids.subjectKeyIdentifier), 'no subjectKeyIdentifier'],
    [extensions.get(oids.subjectKeyIdentifier)?.critical === true, 'subjectKeyIdentifier is critical'],
    [!alternative.some(name => isTagged(name, 1)), 'no rfc822Name in subjectAltName'],
    [extensions.get(oids.subjectAltName)?.critical === true, 'subjectAltName is critical'],
    [extensions.has(oids.basicConstraints), 'basicConstraints is present'],
  ];
  return deviations.filter(([departs]) => departs).map(([, text]) => text);
}
