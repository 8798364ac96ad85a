// ASN.1 by node-forge: trees out of received bytes, within bounds; DER out of a few builders. X.690
import forge from 'node-forge';
import type { Instant } from '../pec/values.ts';

export type Node = forge.asn1.Asn1;
type Tag = forge.asn1.Type;
const { Class, Type } = forge.asn1;
const CONSTRUCTED = 0x20;

/** fromDer with the options that its type declaration leaves out. */
const fromDer: (bytes: string, options: object) => Node = forge.asn1.fromDer as (bytes: string) => Node;

/** The tree of DER, or of BER with indefinite lengths. Throws if the bytes are not exactly one element, or nest too deep. */
export function parse(bytes: Buffer): Node {
  return fromDer(bytes.toString('latin1'), { decodeBitStrings: false, maxDepth: 32 });
}

/** The DER of a tree; the order of a SET stays as it is. */
export function encode(node: Node): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1');
}

// Readers. Each throws if the node is absent or something else.

export function sequenceOf(node: Node | undefined): Node[] {
  return children(universal(node, Type.SEQUENCE));
}

export function setOf(node: Node | undefined): Node[] {
  return children(universal(node, Type.SET));
}

export function oidOf(node: Node | undefined): string {
  return forge.asn1.derToOid(content(universal(node, Type.OID)));
}

/** The value of an OCTET STRING, in one piece or, as BER allows, in many. */
export function octetsOf(node: Node | undefined): Buffer {
  return pieces(universal(node, Type.OCTETSTRING));
}

/** As octetsOf, for a context tag that stands for the OCTET STRING's own. */
export function pieces(node: Node): Buffer {
  return typeof node.value === 'string'
    ? Buffer.from(node.value, 'latin1')
    : Buffer.concat(node.value.map(octetsOf));
}

/** At most 32 bits. */
export function integerOf(node: Node | undefined): number {
  return forge.asn1.derToInteger(content(universal(node, Type.INTEGER)));
}

export function booleanOf(node: Node | undefined): boolean {
  return content(universal(node, Type.BOOLEAN)) !== '\0';
}

/** Whether bit `index` of a BIT STRING is set; bit 0 is the first. */
export function bitOf(node: Node | undefined, index: number): boolean {
  const byte = content(universal(node, Type.BITSTRING)).charCodeAt(1 + (index >> 3));
  return (byte & (0x80 >> (index & 7))) !== 0;
}

export function isUniversal(node: Node | undefined, type: Tag): boolean {
  return node?.tagClass === Class.UNIVERSAL && node.type === type;
}

/** Whether the node bears the context tag `[tag]`. */
export function isTagged(node: Node | undefined, tag: number): boolean {
  return node?.tagClass === Class.CONTEXT_SPECIFIC && Number(node.type) === tag;
}

export function children(node: Node | undefined): Node[] {
  if (node === undefined || typeof node.value === 'string') throw new Error('ASN.1: no constructed node');
  return node.value;
}

/** The bytes of a primitive node, one per character; of a BMPString its text. */
export function content(node: Node | undefined): string {
  if (typeof node?.value !== 'string') throw new Error('ASN.1: no primitive node');
  return node.value;
}

function universal(node: Node | undefined, type: Tag): Node {
  if (node !== undefined && isUniversal(node, type)) return node;
  throw new Error(`ASN.1: no universal tag ${type} where one belongs`);
}

// Builders.

export function sequence(...nodes: readonly Node[]): Node {
  return forge.asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...nodes]);
}

export function set(...nodes: readonly Node[]): Node {
  return forge.asn1.create(Class.UNIVERSAL, Type.SET, true, [...nodes]);
}

export function tagged(tag: number, ...nodes: readonly Node[]): Node {
  return forge.asn1.create(Class.CONTEXT_SPECIFIC, tag as Tag, true, [...nodes]);
}

/** As set, around DER that is already there. */
export function setAround(der: Buffer): Node {
  return around(Class.UNIVERSAL, Type.SET, der);
}

/** As tagged, around DER that is already there. */
export function taggedAround(tag: number, der: Buffer): Node {
  return around(Class.CONTEXT_SPECIFIC, tag, der);
}

/** For forge a primitive node, whose tag happens to have the bit of a constructed one. */
function around(tagClass: forge.asn1.Class, tag: number, der: Buffer): Node {
  return forge.asn1.create(tagClass, (tag | CONSTRUCTED) as Tag, false, der.toString('latin1'));
}

export function oid(dotted: string): Node {
  return primitive(Type.OID, forge.asn1.oidToDer(dotted).getBytes());
}

export function octetString(bytes: Buffer): Node {
  return primitive(Type.OCTETSTRING, bytes.toString('latin1'));
}

/** From 0 to 127. */
export function smallInteger(value: number): Node {
  return primitive(Type.INTEGER, String.fromCharCode(value));
}

export function nothing(): Node {
  return primitive(Type.NULL, '');
}

export function primitive(type: Tag, bytes: string): Node {
  return forge.asn1.create(Class.UNIVERSAL, type, false, bytes);
}

/** UTCTime or GeneralizedTime with seconds and Z, as CMS and X.509 write them (RFC 5280 §4.1.2.5); undefined if it is none. */
export function parseTime(kind: 'UTCTime' | 'GeneralizedTime', text: string): Instant | undefined {
  const century = kind === 'UTCTime' ? (text < '5' ? '20' : '19') : '';
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text);
  const [, year, month, day, hour, minute, second] = parts ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at) ? undefined : (at as Instant);
}
