// The access point: what a user submits becomes a transport envelope. RFC 6109 §2.2.1, §3.1
import { concatenated, limited } from '../mime/bytes.ts';
import {
  type Issuer,
  receiptFormAsked,
  statedFacts,
  transportEnvelope,
  wrappedHeader,
} from '../pec/compose.ts';
import { deliveryError } from '../pec/delivery.ts';
import { recipientKind } from '../pec/directory.ts';
import { formalExceptions, largestSize, type Submission } from '../pec/formal-checks.ts';
import { parseHeader } from '../pec/header.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import {
  type Domain,
  domainOf,
  type Instant,
  type Mailbox,
  type SmtpEnvelope,
  sameMailbox,
} from '../pec/values.ts';
import type { Signer } from '../smime/sign.ts';
import { accepted, owe, Refusal, type Reply } from './custody.ts';
import { handOver, type Keepers, type Operation, settle } from './hand-over.ts';
import type { Door, Origin, Session, Trust } from './ports.ts';
import { readConforming } from './reception.ts';
import { signedMessage } from './signed-message.ts';

export interface AccessPolicy {
  readonly issuer: Issuer;
  /** The PEC domains whose mailboxes are ours. */
  readonly domains: readonly Domain[];
  /** The addresses that a login may send as. */
  readonly addressesOf: (login: string) => readonly Mailbox[];
  /** In bytes. */
  readonly maxSizeTimesRecipients: number;
  /** In bytes. */
  readonly headerSize: number;
}

export interface AccessWorld extends Keepers {
  readonly trust: Trust;
  readonly signer: Signer;
  readonly origin: Origin;
}

export function accessPoint(world: AccessWorld, policy: AccessPolicy): Door {
  return {
    async mail(from, { login }) {
      if (login === undefined) throw new Refusal('notAuthenticated');
      if (from === null) throw new Refusal('nullReversePath');
      const own = policy.addressesOf(login).some(address => sameMailbox(address, from));
      if (!own || !policy.domains.includes(domainOf(from))) throw new Refusal('notYourAddress', from);
    },
    async recipient() {},
    message: async (envelope, bytes, session) => [await submit(world, policy, envelope, bytes, session)],
  };
}

/** What a submission becomes: the certified facts, and the transport envelope as a stream that is signed at its end. */
export interface Wrapped {
  readonly at: Instant;
  readonly about: MessageFacts;
  readonly message: AsyncIterable<Buffer>;
}

/** Checks a submission and wraps it (§3.1.1, §3.1.5). Throws a Refusal; one that only the last byte shows, while `message` is read. */
export async function wrapSubmission(
  { origin, signer, trust }: Pick<AccessWorld, 'origin' | 'signer' | 'trust'>,
  policy: Pick<AccessPolicy, 'issuer' | 'maxSizeTimesRecipients' | 'headerSize'>,
  { from: sender, to }: Submission,
  bytes: AsyncIterable<Buffer>,
): Promise<Wrapped> {
  const tooBig = () => new Refusal('tooBig', String(policy.maxSizeTimesRecipients));
  const bounded = limited(bytes, largestSize(policy.maxSizeTimesRecipients, to.length), tooBig);
  const submitted = await readConforming(bounded, policy.headerSize);
  const original = parseHeader(submitted.header);
  const [fault] = formalExceptions(original, { from: sender, to });
  if (fault !== undefined) throw new Refusal('formalException', fault);

  const at = origin.now();
  const about: MessageFacts = {
    pecMsgid: origin.pecMsgid(),
    sender,
    recipients: to.map(address => ({ address, kind: recipientKind(address, trust.directory) })),
    ...statedFacts(original),
  };
  const plan = transportEnvelope(original, about, receiptFormAsked(original), at, policy.issuer);
  const wrapped = Buffer.from(wrappedHeader(original, about.pecMsgid, about.msgid), 'latin1');
  return { at, about, message: signedMessage(plan, signer, concatenated(wrapped, submitted.rest)) };
}

async function submit(
  world: AccessWorld,
  policy: AccessPolicy,
  { from: sender, to }: SmtpEnvelope,
  bytes: AsyncIterable<Buffer>,
  { gone }: Session,
): Promise<Reply> {
  if (sender === null) throw new Refusal('nullReversePath');
  const envelope = { from: sender, to };
  const { at, about, message } = await wrapSubmission(world, policy, envelope, bytes);
  const { pecMsgid, msgid, subject } = about;
  const operation: Operation = {
    point: 'access',
    transaction: pecMsgid,
    at,
    sender,
    recipients: to,
    pecMsgid,
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject }),
  };
  const { custody, rejections } = await handOver(world, envelope, message, operation, gone);
  const debt = () => ({ messageId: world.origin.messageId(), at, to: sender, about });
  const nonDeliveries = rejections.map(rejection => {
    const { recipient, enhanced } = rejection;
    const error = deliveryError(enhanced, policy.issuer.name);
    return owe({ kind: 'errore-consegna', ...debt(), recipient, error }, rejection);
  });
  const debts = [owe({ kind: 'accettazione', ...debt() }, custody), ...nonDeliveries];
  const line = await settle(world, { ...operation, event: 'accepted', debts });
  return accepted(custody, line, pecMsgid);
}
