// daticert.xml: the data that a provider certifies, and how we write it, valid against postacert.dtd. RFC 6109 §4.4
import type { DeliveryError, MessageFacts, ReceiptForm } from './receipts.ts';
import { type Instant, legalTime, type Mailbox } from './values.ts';

export const certificationKinds = [
  'accettazione',
  'non-accettazione',
  'presa-in-carico',
  'avvenuta-consegna',
  'posta-certificata',
  'errore-consegna',
  'preavviso-errore-consegna',
  'rilevazione-virus',
] as const;
export type CertificationKind = (typeof certificationKinds)[number];

export interface CertificationData {
  readonly tipo: CertificationKind;
  /** Absent: `nessuno`. */
  readonly errore?: DeliveryError['errore'];
  readonly about: MessageFacts;
  /** gestore-emittente: a free label, never an identity. */
  readonly provider: string;
  readonly at: Instant;
  /** The form asked for: in transport envelopes and delivery receipts only. */
  readonly ricevuta?: ReceiptForm;
  /** The one recipient that a (non-)delivery, virus or time-out receipt is about. */
  readonly consegna?: Mailbox;
  /** The recipients taken in charge. */
  readonly ricezione: readonly Mailbox[];
  /** errore-esteso. */
  readonly extended?: string;
}

/** The XML document, UTF-8, in the order of the DTD. Characters that XML 1.0 forbids become U+FFFD. */
export function certificationXml(data: CertificationData): string {
  const { about } = data;
  const { date, time, zone } = legalTime(data.at);
  const element = (name: string, text: string) => `<${name}>${escapeXml(text)}</${name}>`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<postacert tipo="${data.tipo}" errore="${data.errore ?? 'nessuno'}">`,
    '<intestazione>',
    element('mittente', about.sender),
    ...about.recipients.map(
      ({ kind, address }) => `<destinatari tipo="${kind}">${escapeXml(address)}</destinatari>`,
    ),
    element('risposte', about.replyTo),
    ...(about.subject === undefined ? [] : [element('oggetto', about.subject)]),
    '</intestazione>',
    '<dati>',
    element('gestore-emittente', data.provider),
    `<data zona="${zone}">${element('giorno', date)}${element('ora', time)}</data>`,
    element('identificativo', about.pecMsgid),
    ...(about.msgid === undefined ? [] : [element('msgid', about.msgid)]),
    ...(data.ricevuta === undefined ? [] : [`<ricevuta tipo="${data.ricevuta}"/>`]),
    ...(data.consegna === undefined ? [] : [element('consegna', data.consegna)]),
    ...data.ricezione.map(mailbox => element('ricezione', mailbox)),
    ...(data.extended === undefined ? [] : [element('errore-esteso', data.extended)]),
    '</dati>',
    '</postacert>',
    '',
  ].join('\n');
}

/** Text that is safe as XML content and as the value of an HTML or XML attribute. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
