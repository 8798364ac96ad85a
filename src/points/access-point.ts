// The access point: what a user submits becomes a transport envelope. RFC 6109 §2.2.1, §3.1
import { concatenated, limited } from '../mime/bytes.ts';
import { signedMultipart } from '../mime/signed-multipart.ts';
import { messageEntity } from '../mime/write-message.ts';
import {
  type Issuer,
  receiptFormAsked,
  statedFacts,
  transportEnvelope,
  wrappedHeader,
} from '../pec/compose.ts';
import { deliveryError } from '../pec/delivery.ts';
import { recipientKind } from '../pec/directory.ts';
import { formalExceptions, largestSize } from '../pec/formal-checks.ts';
import { parseHeader } from '../pec/header.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import { type Domain, domainOf, type Mailbox, type SmtpEnvelope, sameMailbox } from '../pec/values.ts';
import { type Signer, signDigest } from '../smime/sign.ts';
import { accepted, owe, Refusal, type Reply } from './custody.ts';
import { handOver, type Keepers, settle } from './hand-over.ts';
import type { Door, Origin, Session, Trust } from './ports.ts';
import { readConforming } from './reception.ts';

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

async function submit(
  world: AccessWorld,
  { issuer, maxSizeTimesRecipients, headerSize }: AccessPolicy,
  { from: sender, to }: SmtpEnvelope,
  bytes: AsyncIterable<Buffer>,
  session: Session,
): Promise<Reply> {
  const { origin, signer } = world;
  if (sender === null) throw new Refusal('nullReversePath');
  const tooBig = () => new Refusal('tooBig', String(maxSizeTimesRecipients));
  const bounded = limited(bytes, largestSize(maxSizeTimesRecipients, to.length), tooBig);
  const submitted = await readConforming(bounded, headerSize);
  const original = parseHeader(submitted.header);
  const [fault] = formalExceptions(original, { from: sender, to });
  if (fault !== undefined) throw new Refusal('formalException', fault);

  const at = origin.now();
  const about: MessageFacts = {
    pecMsgid: origin.pecMsgid(),
    sender,
    recipients: to.map(address => ({ address, kind: recipientKind(address, world.trust.directory) })),
    ...statedFacts(original),
  };
  const plan = transportEnvelope(original, about, receiptFormAsked(original), at, issuer);
  const wrapped = Buffer.from(wrappedHeader(original, about.pecMsgid, about.msgid), 'latin1');
  const entity = messageEntity(plan, concatenated(wrapped, submitted.rest));
  const message = signedMultipart(plan.header, plan.boundary, entity, digest =>
    signDigest(digest, at, signer),
  );

  const { pecMsgid, msgid, subject } = about;
  const line = {
    point: 'access',
    transaction: pecMsgid,
    at,
    sender,
    recipients: to,
    pecMsgid,
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject }),
  } as const;
  const { custody, rejections } = await handOver(world, { from: sender, to }, message, line, session.gone);
  const owed = { at, to: sender, about };
  const acceptance = owe({ kind: 'accettazione', messageId: origin.messageId(), ...owed }, custody);
  const nonDeliveries = rejections.map(rejection =>
    owe(
      {
        kind: 'errore-consegna',
        messageId: origin.messageId(),
        ...owed,
        recipient: rejection.recipient,
        error: deliveryError(rejection.enhanced, issuer.name),
      },
      rejection,
    ),
  );
  const journaled = await settle(world, {
    ...line,
    event: 'accepted',
    debts: [acceptance, ...nonDeliveries],
  });
  return accepted(custody, journaled, pecMsgid);
}
