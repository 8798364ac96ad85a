// The incoming point: what other providers and the Internet send. RFC 6109 §2.2.2, §3.2
import { reversePathTells } from '../pec/admission.ts';
import { anomalyEnvelope, type Issuer } from '../pec/compose.ts';
import { anomalies } from '../pec/texts.ts';
import { type Domain, domainOf, type Instant, type SmtpEnvelope } from '../pec/values.ts';
import type { Signer } from '../smime/sign.ts';
import { accepted, owe, Refusal, type Reply } from './custody.ts';
import { handOver, type Keepers, type Operation, settle } from './hand-over.ts';
import type { Door, Mailboxes, Origin, Session, Spool, Trust } from './ports.ts';
import { type Reception, receive, statedBy } from './reception.ts';
import { signedMessage } from './signed-message.ts';

export interface IncomingPolicy {
  readonly issuer: Issuer;
  /** The PEC domains whose mailboxes are ours. */
  readonly domains: readonly Domain[];
  /** In bytes. */
  readonly headerSize: number;
}

export interface IncomingWorld extends Keepers {
  readonly spool: Spool;
  readonly trust: Trust;
  readonly mailboxes: Mailboxes;
  readonly signer: Signer;
  readonly origin: Origin;
}

export function incomingPoint(world: IncomingWorld, policy: IncomingPolicy): Door {
  const { mailboxes, origin, trust } = world;
  return {
    async mail() {},
    async recipient(to, from) {
      if (!policy.domains.includes(domainOf(to))) throw new Refusal('noRelay', to);
      if (reversePathTells(from, trust.directory) && !(await mailboxes.isOpen(to)))
        throw new Refusal('ordinaryMail', to);
    },
    async message(envelope, bytes, session) {
      const at = origin.now();
      const reception = await receive(world, envelope, bytes, at, policy.headerSize);
      await using _spooled = reception.spooled;
      return [await admit(world, policy, envelope, reception, at, session)];
    },
  };
}

async function admit(
  world: IncomingWorld,
  policy: IncomingPolicy,
  envelope: SmtpEnvelope,
  reception: Reception,
  at: Instant,
  { gone }: Session,
): Promise<Reply> {
  const { spooled, class: received } = reception;
  const operation: Operation = {
    ...statedBy(reception),
    point: 'incoming',
    transaction: world.origin.messageId(),
    at,
    sender: envelope.from,
    recipients: envelope.to,
  };
  switch (received.class) {
    case 'transport-envelope': {
      const { custody } = await handOver(world, envelope, spooled.read(), operation, gone);
      const takeCharge = owe(
        {
          kind: 'presa-in-carico',
          messageId: world.origin.messageId(),
          at,
          to: received.provider.mailReceipt,
          about: received.certification.about,
          taken: custody.recipients,
        },
        custody,
      );
      const line = await settle(world, { ...operation, event: 'taken', debts: [takeCharge] });
      return accepted(custody, line, operation.transaction);
    }
    case 'receipt': {
      const { custody } = await handOver(world, envelope, spooled.read(), operation, gone);
      return accepted(
        custody,
        await settle(world, { ...operation, event: 'passed-on' }),
        operation.transaction,
      );
    }
    case 'anomaly-envelope':
      return wrap(world, policy, envelope, reception, operation, [anomalies.otherKind], gone);
    case 'anomalous':
      return wrap(world, policy, envelope, reception, operation, received.reasons, gone);
    case 'ordinary': {
      for (const recipient of envelope.to)
        if (!(await world.mailboxes.isOpen(recipient))) throw new Refusal('ordinaryMail', recipient);
      return wrap(world, policy, envelope, reception, operation, received.reasons, gone);
    }
  }
}

/** Passes a message on inside an anomaly envelope, its routing data unchanged; nothing is owed for it (§3.2.2). */
async function wrap(
  world: IncomingWorld,
  { issuer }: IncomingPolicy,
  envelope: SmtpEnvelope,
  { header, spooled }: Reception,
  operation: Operation,
  reasons: readonly string[],
  gone: AbortSignal,
): Promise<Reply> {
  const { at, transaction: messageId } = operation;
  const plan = anomalyEnvelope(header, { recipients: envelope.to, reasons, at, messageId }, issuer);
  const message = signedMessage(plan, world.signer, spooled.read());
  const { custody } = await handOver(world, envelope, message, operation, gone);
  const line = {
    ...operation,
    event: 'enveloped',
    generated: [messageId],
    reason: reasons.join('; '),
  } as const;
  return accepted(custody, await settle(world, line), messageId);
}
