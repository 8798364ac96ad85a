// What a received message is, from the evidence about it. RFC 6109 §2.2.2, pec.md section 3; design "What a peer hears"
import { parseAddresses } from './addresses.ts';
import type { CertificationData } from './certification-data.ts';
import type { Directory, Provider } from './directory.ts';
import { field, firstOf, type Header, valuesOf } from './header.ts';
import { anomalies } from './texts.ts';
import {
  domainOf,
  type Mailbox,
  mailboxKey,
  parsePecMsgid,
  type SmtpEnvelope,
  sameMailbox,
} from './values.ts';

/** What one pass over the message and the signature check have shown. */
export interface Evidence {
  readonly header: Header;
  readonly signature: SignatureEvidence;
  /** daticert.xml, read; a string says why it could not be (for the log). Absent: there is no such part. */
  readonly certification?: CertificationData | string;
  readonly hasOriginal: boolean;
  /** Faults of the MIME structure inside the signature. */
  readonly problems: readonly string[];
}

export type SignatureEvidence =
  | { readonly state: 'absent' }
  | { readonly state: 'broken'; readonly why: string }
  /** The signature holds; `certificate` is the signer's DER and `hash` its SHA-1, `path` whether an anchor vouches for it. */
  | {
      readonly state: 'good';
      readonly certificate: Uint8Array;
      readonly hash: string;
      readonly addresses: readonly Mailbox[];
      readonly path: { readonly ok: true } | { readonly ok: false; readonly reason: string };
    };

export type ReceivedClass =
  | {
      readonly class: 'transport-envelope';
      readonly provider: Provider;
      readonly certification: CertificationData;
    }
  | {
      readonly class: 'receipt';
      readonly kind: string;
      readonly provider: Provider;
      readonly certification: CertificationData;
    }
  /** Signed by a provider as an anomaly envelope: no certificate of anything. */
  | { readonly class: 'anomaly-envelope'; readonly provider: Provider }
  /** From a provider, but not as the format wants it. */
  | { readonly class: 'anomalous'; readonly provider: Provider; readonly reasons: readonly string[] }
  /** `reasons`, here and above, are in Italian: the reader of an anomaly envelope sees them (pec.md section 2). */
  | { readonly class: 'ordinary'; readonly reasons: readonly string[] };

/** `envelope` is undefined where only the message is at hand: then its routing data are not compared. */
export function classify(
  evidence: Evidence,
  envelope: SmtpEnvelope | undefined,
  directory: Directory,
): ReceivedClass {
  const { header, signature, certification } = evidence;
  if (signature.state === 'absent') return { class: 'ordinary', reasons: [anomalies.unsigned] };
  if (signature.state === 'broken' || !signature.path.ok)
    return { class: 'ordinary', reasons: [anomalies.notAuthentic] };
  const signers = directory.signersOf(signature.hash, signature.certificate);
  const [first] = signers;
  if (first === undefined) return { class: 'ordinary', reasons: [anomalies.notCertified] };

  const transport = marker(header, field.transport);
  const kind = marker(header, field.receipt);
  const formal = [
    ...(evidence.problems.length > 0 ? [anomalies.structure] : []),
    ...markerFaults(header),
    ...authorFaults(header, signature.addresses, signers, directory),
  ];
  if (transport === 'errore' && certification === undefined && formal.length === 0)
    return { class: 'anomaly-envelope', provider: first };
  if (certification === undefined || typeof certification === 'string') {
    const fault = certification === undefined ? anomalies.noData : anomalies.badData;
    return { class: 'anomalous', provider: first, reasons: [...formal, fault] };
  }
  if (certification.tipo !== 'posta-certificata') {
    const reasons = [...formal, ...(kind === certification.tipo ? [] : [anomalies.otherKind])];
    return reasons.length === 0
      ? { class: 'receipt', kind: certification.tipo, provider: first, certification }
      : { class: 'anomalous', provider: first, reasons };
  }
  const provider = signers.find(one => one === directory.providerOf(domainOf(certification.about.sender)));
  const reasons = [
    ...formal,
    ...(transport === 'posta-certificata' ? [] : [anomalies.otherKind]),
    ...(evidence.hasOriginal ? [] : [anomalies.noOriginal]),
    ...(provider === undefined ? [anomalies.foreignSender] : []),
    ...identifierFaults(header, certification),
    ...(envelope === undefined ? [] : routingFaults(envelope, certification)),
  ];
  return provider !== undefined && reasons.length === 0
    ? { class: 'transport-envelope', provider, certification }
    : { class: 'anomalous', provider: provider ?? first, reasons };
}

function marker(header: Header, name: string): string | undefined {
  return firstOf(header, name)?.toLowerCase();
}

/** Exactly one of X-Trasporto and X-Ricevuta, once. */
function markerFaults(header: Header): string[] {
  const markers = [...valuesOf(header, field.transport), ...valuesOf(header, field.receipt)];
  return markers.length === 1 ? [] : [anomalies.marker];
}

/** One author: an address of the signing certificate, or at least of its provider's domains (§2.1, pec.md section 3). */
function authorFaults(
  header: Header,
  addresses: readonly Mailbox[],
  signers: readonly Provider[],
  directory: Directory,
): string[] {
  const [value = '', another] = valuesOf(header, field.from);
  const [from, ...more] = parseAddresses(value).mailboxes;
  if (another !== undefined || from === undefined || more.length > 0) return [anomalies.author];
  const domain = domainOf(from);
  const manager = directory.providerOf(domain);
  const own = addresses.some(one => domainOf(one) === domain) || signers.some(one => one === manager);
  return own ? [] : [anomalies.foreignAuthor];
}

function identifierFaults(header: Header, { about }: CertificationData): string[] {
  const [id = '', another] = valuesOf(header, field.messageId);
  return another === undefined && parsePecMsgid(id) === about.pecMsgid ? [] : [anomalies.identifier];
}

/** The routing data are the certified ones; anything else is a replay (design "What a peer hears"). */
function routingFaults(envelope: SmtpEnvelope, { about }: CertificationData): string[] {
  const certified = new Set(about.recipients.map(({ address }) => mailboxKey(address)));
  const sender = envelope.from !== null && sameMailbox(envelope.from, about.sender);
  return [
    ...(sender ? [] : [anomalies.sender]),
    ...(envelope.to.every(one => certified.has(mailboxKey(one))) ? [] : [anomalies.recipient]),
  ];
}

/** Whether the reverse path alone shows that a message is ordinary mail (design "What a peer hears"). */
export function reversePathTells(from: Mailbox | null, directory: Directory): boolean {
  return from !== null && !directory.isProviderDomain(domainOf(from));
}
