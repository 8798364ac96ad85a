// The formal checks on what a user submits, one function per bullet. RFC 6109 §3.1.1
import { parseAddresses } from './addresses.ts';
import { field, fieldsOf, firstOf, type Header, valuesOf } from './header.ts';
import type { FormalFaultName } from './reasons.ts';
import { type Mailbox, mailboxKey, parseMsgid, type SmtpEnvelope, sameMailbox } from './values.ts';

/** A submission: its sender is known and is not the null reverse path. */
export interface Submission extends SmtpEnvelope {
  readonly from: Mailbox;
}

/** What is wrong with a submission; `about` is the field or address that it is about. */
export interface FormalFault {
  readonly name: FormalFaultName;
  readonly about?: string;
}

/** The formal exceptions that header and routing data show: the first fault of each check, in the order of §3.1.1. */
export function formalExceptions(header: Header, submission: Submission): readonly FormalFault[] {
  return [
    headerConforms(header),
    fromIsAnAddress(header),
    toHoldsAddresses(header),
    reversePathIsFrom(header, submission),
    forwardPathsAreToAndCc(header, submission),
    bccIsEmpty(header),
  ].filter(fault => fault !== undefined);
}

/** How many bytes one message may have, so that its size times its recipients stays within `limit`. */
export function largestSize(limit: number, recipients: number): number {
  return Math.floor(limit / Math.max(1, recipients));
}

/** RFC 5322 §3.6: fields, in ASCII, and no more than one of those that must be unique. */
function headerConforms(header: Header): FormalFault | undefined {
  if (header.some(({ name }) => name === '')) return { name: 'noField' };
  if (header.some(({ raw }) => /[^\x00-\x7f]/.test(raw))) return { name: 'notAscii' };
  const twice = unique.find(name => fieldsOf(header, name).length > 1);
  if (twice !== undefined) return { name: 'twice', about: twice };
  const id = firstOf(header, field.messageId);
  return id === undefined || parseMsgid(id) !== undefined ? undefined : { name: 'badMessageId' };
}

const unique = [
  field.messageId,
  field.subject,
  field.from,
  field.date,
  field.to,
  field.cc,
  field.replyTo,
  field.receiptForm,
];

function fromIsAnAddress(header: Header): FormalFault | undefined {
  const from = parseAddresses(firstOf(header, field.from) ?? '');
  if (from.mailboxes.length === 1 && from.wellFormed) return undefined;
  return { name: from.mailboxes.length > 1 ? 'severalAuthors' : 'noAuthor' };
}

function toHoldsAddresses(header: Header): FormalFault | undefined {
  const to = parseAddresses(valuesOf(header, field.to).join(','));
  return to.mailboxes.length > 0 && to.wellFormed ? undefined : { name: 'badTo' };
}

function reversePathIsFrom(header: Header, { from }: Submission): FormalFault | undefined {
  const [author] = parseAddresses(firstOf(header, field.from) ?? '').mailboxes;
  return author === undefined || sameMailbox(author, from) ? undefined : { name: 'otherAuthor', about: from };
}

function forwardPathsAreToAndCc(header: Header, { to }: Submission): FormalFault | undefined {
  const cc = parseAddresses(valuesOf(header, field.cc).join(','));
  if (!cc.wellFormed) return { name: 'badCc' };
  const primary = parseAddresses(valuesOf(header, field.to).join(','));
  const named = new Map([...primary.mailboxes, ...cc.mailboxes].map(one => [mailboxKey(one), one]));
  const routed = new Set(to.map(mailboxKey));
  const hidden = to.find(one => !named.has(mailboxKey(one)));
  if (hidden !== undefined) return { name: 'hiddenRecipient', about: hidden };
  const missing = [...named].find(([key]) => !routed.has(key));
  return missing && { name: 'missingRecipient', about: missing[1] };
}

function bccIsEmpty(header: Header): FormalFault | undefined {
  return valuesOf(header, field.bcc).some(value => value !== '') ? { name: 'bcc' } : undefined;
}
