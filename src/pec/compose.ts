// Every message we write, as a plan: header, text, certification data, attachment. RFC 6109 §3.1.5, §3.2.2, §4.3
import { parseAddresses } from './addresses.ts';
import { type CertificationData, certificationXml } from './certification-data.ts';
import { decodeWords } from './encoded-words.ts';
import {
  field,
  firstOf,
  formatField,
  formatSubject,
  type Header,
  headerBlock,
  inherited,
  replaced,
} from './header.ts';
import { type MessageFacts, type Receipt, type ReceiptForm, receiptSubject } from './receipts.ts';
import {
  anomalyText,
  htmlText,
  plainText,
  receiptText,
  transportEnvelopeText,
  unknownAuthor,
} from './texts.ts';
import { dateField, type Instant, type Mailbox, type Msgid, type PecMsgid, parseMsgid } from './values.ts';

/** Who signs: the label that we certify under, and the author of all we write (a SAN of the certificate). */
export interface Issuer {
  readonly name: string;
  readonly address: Mailbox;
}

/** A message to be written and signed. Strings of `header` hold one byte per character. */
export interface MessagePlan {
  /** The header fields above the MIME ones, each ended by CRLF. */
  readonly header: string;
  /** Up to 60 characters of `[A-Za-z0-9]`; every boundary of the message is made of it. */
  readonly boundary: string;
  /** The instant of the event (§4.1). */
  readonly at: Instant;
  /** The readable text (§4.3.1); lines end in LF. Characters outside ISO-8859-1 are the writer's care. */
  readonly text: { readonly plain: string; readonly html: string };
  /** daticert.xml; absent in anomaly envelopes (§3.2.2). */
  readonly certificationData?: string;
  /** Whether postacert.eml follows; its bytes are handed to the writer. */
  readonly original: boolean;
}

/** What the header of a submission says, as the certification data repeat it (§4.4). */
export function statedFacts(header: Header): Pick<MessageFacts, 'msgid' | 'replyTo' | 'subject'> {
  const msgid = parseMsgid(firstOf(header, field.messageId) ?? '');
  const subject = firstOf(header, field.subject);
  const replies = parseAddresses(firstOf(header, field.replyTo) ?? firstOf(header, field.from) ?? '');
  return {
    replyTo: replies.mailboxes.join(', '),
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject: decodeWords(subject) }),
  };
}

/** The form of delivery receipt that a header asks for; anything unknown is the default (§3.3.2.1). */
export function receiptFormAsked(header: Header): ReceiptForm {
  return receiptForms.find(form => form === asked(header)) ?? 'completa';
}

/** What a header asks for that is no form of receipt: worth a note in the journal. */
export function unknownReceiptForm(header: Header): string | undefined {
  const form = asked(header);
  return receiptForms.some(known => known === form) ? undefined : form;
}

const receiptForms: readonly ReceiptForm[] = ['completa', 'breve', 'sintetica'];

function asked(header: Header): string | undefined {
  return firstOf(header, field.receiptForm)?.toLowerCase();
}

/** The header of the original as it travels inside: its Message-ID is the PEC msgid, the client's is kept beside it (§2.2.1). */
export function wrappedHeader(header: Header, pecMsgid: PecMsgid, msgid?: Msgid): string {
  const renamed = replaced(header, field.messageId, formatField(field.messageId, `<${pecMsgid}>`));
  return headerBlock(
    msgid === undefined ? renamed : replaced(renamed, field.reference, formatField(field.reference, msgid)),
  );
}

/** The transport envelope around a submission whose header is `original` (§3.1.5). */
export function transportEnvelope(
  original: Header,
  about: MessageFacts,
  form: ReceiptForm,
  at: Instant,
  issuer: Issuer,
): MessagePlan {
  const data: CertificationData = {
    tipo: 'posta-certificata',
    about,
    provider: issuer.name,
    at,
    ricevuta: form,
    ricezione: [],
  };
  const text = transportEnvelopeText(about, at);
  const header = [
    inherited(original, [field.received, field.returnPath, field.to, field.cc, field.replyTo]),
    formatField(field.transport, 'posta-certificata'),
    formatField(field.date, dateField(at)),
    formatSubject('POSTA CERTIFICATA: ', about.subject ?? ''),
    formatField(field.from, onBehalfOf(about.sender, issuer)),
    replyToIfAbsent(original),
    formatField(field.messageId, `<${about.pecMsgid}>`),
    about.msgid === undefined ? '' : formatField(field.reference, about.msgid),
    formatField(field.receiptForm, form),
  ];
  return {
    header: header.join(''),
    boundary: boundaryOf(about.pecMsgid),
    at,
    text: { plain: plainText(text), html: htmlText(text) },
    certificationData: certificationXml(data),
    original: true,
  };
}

/** A message that is not certified, as we pass it on: nothing inside but the message itself (§3.2.2). */
export function anomalyEnvelope(
  received: Header,
  anomaly: {
    readonly recipients: readonly Mailbox[];
    readonly reasons: readonly string[];
    readonly at: Instant;
    /** A fresh Message-ID without brackets: names the boundaries, and the message if it has no name of its own. */
    readonly messageId: string;
  },
  issuer: Issuer,
): MessagePlan {
  const [author] = parseAddresses(firstOf(received, field.from) ?? '').mailboxes;
  const subject = decodeWords(firstOf(received, field.subject) ?? '');
  const text = anomalyText({ ...anomaly, subject, author: author ?? unknownAuthor });
  const ownId = inherited(received, [field.messageId]);
  const header = [
    inherited(received, [field.received, field.returnPath, field.to, field.cc, field.replyTo]),
    formatField(field.transport, 'errore'),
    formatField(field.date, dateField(anomaly.at)),
    formatSubject('ANOMALIA MESSAGGIO: ', subject),
    formatField(field.from, onBehalfOf(author ?? unknownAuthor, issuer)),
    replyToIfAbsent(received),
    ownId || formatField(field.messageId, `<${anomaly.messageId}>`),
  ];
  return {
    header: header.join(''),
    boundary: boundaryOf(anomaly.messageId),
    at: anomaly.at,
    text: { plain: plainText(text), html: htmlText(text) },
    original: true,
  };
}

/** A receipt: a pure function of the debt that it pays, so that paying it twice sends the same bytes (§3). */
export function receipt(owed: Receipt, issuer: Issuer): MessagePlan {
  const { about, at } = owed;
  const text = receiptText(owed);
  const error = 'error' in owed ? owed.error : undefined;
  const isVirus = error?.errore === 'virus' && owed.kind !== 'rilevazione-virus';
  const header = [
    formatField(field.receipt, owed.kind),
    isVirus ? formatField(field.securityCheck, 'errore') : '',
    owed.kind === 'rilevazione-virus' ? formatField(field.originalSender, about.sender) : '',
    formatField(field.date, dateField(at)),
    formatSubject(receiptSubject(owed), about.subject ?? ''),
    formatField(field.from, issuer.address),
    formatField(field.to, owed.to),
    formatField(field.messageId, `<${owed.messageId}>`),
    ...(about.msgid === undefined
      ? []
      : [field.reference, field.inReplyTo, field.references].map(name =>
          formatField(name, about.msgid ?? ''),
        )),
  ];
  return {
    header: header.join(''),
    boundary: boundaryOf(owed.messageId),
    at,
    text: { plain: plainText(text), html: htmlText(text) },
    certificationData: certificationXml({
      tipo: owed.kind,
      about,
      provider: issuer.name,
      at,
      ricezione: owed.kind === 'presa-in-carico' ? owed.taken : [],
      ...(owed.kind === 'avvenuta-consegna' && { ricevuta: owed.form }),
      ...('recipient' in owed && { consegna: owed.recipient }),
      ...(error && { errore: error.errore, extended: error.extended }),
    }),
    original: owed.kind === 'avvenuta-consegna' && owed.original !== undefined,
  };
}

function onBehalfOf(author: string, issuer: Issuer): string {
  return `"Per conto di: ${author.replace(/["\\]/g, '\\$&')}" <${issuer.address}>`;
}

/** Replies go to the author, not to us (§2.1). */
function replyToIfAbsent(header: Header): string {
  if (firstOf(header, field.replyTo) !== undefined) return '';
  const { mailboxes } = parseAddresses(firstOf(header, field.from) ?? '');
  return mailboxes.length === 0 ? '' : formatField(field.replyTo, mailboxes.join(', '));
}

/** The letters and digits of an identifier that nobody could guess before it was drawn. */
function boundaryOf(identifier: string): string {
  return identifier
    .replace(/@.*$/, '')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 60);
}
