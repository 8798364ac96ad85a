// The formal checks on what a user submits, one function per bullet. RFC 6109 §3.1.1
import { parseAddresses } from './addresses.ts';
import { field, fieldsOf, firstOf, type Header, valuesOf } from './header.ts';
import { type Mailbox, mailboxKey, parseMsgid, type SmtpEnvelope, sameMailbox } from './values.ts';

/** A submission: its sender is known and is not the null reverse path. */
export interface Submission extends SmtpEnvelope {
  readonly from: Mailbox;
}

/** The formal exceptions that header and routing data show: the first fault of each check, in the order of §3.1.1. */
export function formalExceptions(header: Header, submission: Submission): readonly string[] {
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
function headerConforms(header: Header): string | undefined {
  if (header.some(({ name }) => name === '')) return 'a header line is no field';
  if (header.some(({ raw }) => /[^\x00-\x7f]/.test(raw))) return 'the header holds bytes outside ASCII';
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
  const twice = unique.find(name => fieldsOf(header, name).length > 1);
  if (twice !== undefined) return `${twice} is given twice`;
  const id = firstOf(header, field.messageId);
  return id === undefined || parseMsgid(id) !== undefined ? undefined : 'Message-ID is no message identifier';
}

function fromIsAnAddress(header: Header): string | undefined {
  const from = parseAddresses(firstOf(header, field.from) ?? '');
  if (from.mailboxes.length === 1 && from.wellFormed) return undefined;
  return from.mailboxes.length > 1 ? 'From names several authors' : 'From holds no valid address';
}

function toHoldsAddresses(header: Header): string | undefined {
  const to = parseAddresses(valuesOf(header, field.to).join(','));
  return to.mailboxes.length > 0 && to.wellFormed ? undefined : 'To holds no valid address';
}

function reversePathIsFrom(header: Header, { from }: Submission): string | undefined {
  const [author] = parseAddresses(firstOf(header, field.from) ?? '').mailboxes;
  return author === undefined || sameMailbox(author, from)
    ? undefined
    : `the envelope sender ${from} is not the author in From`;
}

function forwardPathsAreToAndCc(header: Header, { to }: Submission): string | undefined {
  const cc = parseAddresses(valuesOf(header, field.cc).join(','));
  if (!cc.wellFormed) return 'Cc holds something that is no address';
  const primary = parseAddresses(valuesOf(header, field.to).join(','));
  const named = new Map([...primary.mailboxes, ...cc.mailboxes].map(one => [mailboxKey(one), one]));
  const routed = new Set(to.map(mailboxKey));
  const hidden = to.find(one => !named.has(mailboxKey(one)));
  if (hidden !== undefined) return `the recipient ${hidden} is in neither To nor Cc`;
  const missing = [...named].find(([key]) => !routed.has(key));
  return missing === undefined ? undefined : `${missing[1]} is in To or Cc, but is no recipient`;
}

function bccIsEmpty(header: Header): string | undefined {
  return valuesOf(header, field.bcc).some(value => value !== '') ? 'Bcc holds a value' : undefined;
}
