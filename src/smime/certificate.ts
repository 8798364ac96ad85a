// The fields of an X.509 certificate that node:crypto does not show: names, extensions, algorithm. RFC 5280 §4
import forge from 'node-forge';
import {
  booleanOf,
  children,
  content,
  encode,
  isTagged,
  isUniversal,
  type Node,
  octetsOf,
  oidOf,
  parse,
  sequenceOf,
  setOf,
} from './asn1.ts';
import { oids } from './oids.ts';

const { Type } = forge.asn1;

export interface Extension {
  readonly critical: boolean;
  /** The value, not yet parsed: an unknown extension may hold anything. */
  readonly value: Buffer;
}

export interface Certificate {
  readonly serialNumber: Node;
  readonly issuer: Node;
  readonly subject: Node;
  /** OID of the algorithm that the issuer signed with. */
  readonly signatureAlgorithm: string;
  readonly extensions: ReadonlyMap<string, Extension>;
}

/** Reads the DER of a certificate; any type of key. Throws Error if it is none, or holds an extension twice (§4.2). */
export function readCertificate(der: Buffer): Certificate {
  const [tbs, algorithm] = sequenceOf(parse(der));
  const fields = sequenceOf(tbs);
  if (isTagged(fields[0], 0)) fields.shift();
  const [serialNumber, , issuer, , subject] = fields;
  if (serialNumber === undefined || issuer === undefined || subject === undefined) {
    throw new Error('no X.509 certificate');
  }
  const extensions = new Map<string, Extension>();
  const last = fields.at(-1);
  for (const extension of isTagged(last, 3) ? sequenceOf(children(last)[0]) : []) {
    const parts = sequenceOf(extension);
    const id = oidOf(parts[0]);
    if (extensions.has(id)) throw new Error(`extension ${id} twice`);
    const critical = isUniversal(parts[1], Type.BOOLEAN) && booleanOf(parts[1]);
    extensions.set(id, { critical, value: octetsOf(parts.at(-1)) });
  }
  const signatureAlgorithm = oidOf(sequenceOf(algorithm)[0]);
  return { serialNumber, issuer, subject, signatureAlgorithm, extensions };
}

/** The parsed value of an extension, or undefined where the certificate has none. Throws if it is malformed. */
export function extensionValue(certificate: Certificate, id: string): Node | undefined {
  const extension = certificate.extensions.get(id);
  return extension && parse(extension.value);
}

/** The GeneralNames of the subjectAltName: `type` is the context tag, 1 for rfc822Name, 4 for directoryName (§4.2.1.6). */
export function alternativeNames(certificate: Certificate): Node[] {
  const value = extensionValue(certificate, oids.subjectAltName);
  return value === undefined ? [] : sequenceOf(value);
}

/** The rfc822Names of a certificate's subjectAltName: none if either cannot be read, as nothing is certified then. */
export function rfc822Names(certificateDer: Buffer): string[] {
  try {
    return alternativeNames(readCertificate(certificateDer))
      .filter(name => isTagged(name, 1))
      .map(content);
  } catch {
    return [];
  }
}

/** The attributes of a Name, in order: OID and value. */
export function attributesOf(name: Node): { readonly type: string; readonly value: Node }[] {
  return sequenceOf(name).flatMap(relative => setOf(relative).map(attribute));
}

/** One string per RDN of a Name, equal for RDNs that match: case, blanks and the type of string do not count (§7.1). */
export function relativeNames(name: Node): string[] {
  return sequenceOf(name).map(relative =>
    setOf(relative)
      .map(attribute)
      .map(({ type, value }) => JSON.stringify([type, comparable(value)]))
      .sort()
      .join('+'),
  );
}

function attribute(node: Node): { readonly type: string; readonly value: Node } {
  const [type, value] = sequenceOf(node);
  if (value === undefined) throw new Error('attribute without a value');
  return { type: oidOf(type), value };
}

function comparable(value: Node): readonly string[] {
  const text = textOf(value);
  return text === undefined
    ? ['der', encode(value).toString('hex')]
    : ['text', text.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase()];
}

/** The text of a directory string, or undefined for one of the rarer kinds. */
export function textOf(value: Node): string | undefined {
  if (isUniversal(value, Type.UTF8)) return Buffer.from(content(value), 'latin1').toString('utf8');
  const plain = [Type.PRINTABLESTRING, Type.IA5STRING, Type.BMPSTRING];
  return plain.some(type => isUniversal(value, type)) ? content(value) : undefined;
}
