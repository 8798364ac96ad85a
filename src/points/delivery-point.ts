// The delivery point: once the mailbox holds a transport envelope, the sender is owed a receipt. RFC 6109 §2.2.3, §3.3
import { heldUntil } from '../mime/bytes.ts';
import type { ReceivedClass } from '../pec/admission.ts';
import type { Issuer } from '../pec/compose.ts';
import { formFor, idleError } from '../pec/delivery.ts';
import type { Delivery as DeliveryReceipt } from '../pec/receipts.ts';
import { hearingOf } from '../pec/tracking.ts';
import type { Domain, Instant, Mailbox, SmtpEnvelope } from '../pec/values.ts';
import { correlate } from './bounce.ts';
import {
  accepted,
  type Custody,
  expired,
  type Journaled,
  NothingSent,
  type OwedDebt,
  owe,
  passedBack,
  Refusal,
  type Reply,
  settled,
  type Verdict,
  verdictOf,
} from './custody.ts';
import { type Keepers, type Operation, offer, oweFailures, settle } from './hand-over.ts';
import type { Door, Origin, Session, Spool, Trust } from './ports.ts';
import { type Reception, receive, statedBy } from './reception.ts';

export interface DeliveryPolicy {
  readonly issuer: Issuer;
  /** The PEC domains whose mailboxes are ours. */
  readonly domains: readonly Domain[];
  /** In ms: how long after the certified date a mailbox that keeps putting us off is given up (§2.2.2). */
  readonly idle: number;
  /** In bytes. */
  readonly headerSize: number;
}

export interface DeliveryWorld extends Keepers {
  readonly spool: Spool;
  readonly trust: Trust;
  readonly origin: Origin;
}

/** Speaks LMTP: each recipient has its own reply. Who may be delivered to is the MTA's and the mail store's to say. */
export function deliveryPoint(world: DeliveryWorld, policy: DeliveryPolicy): Door {
  return {
    async mail() {},
    async recipient() {},
    async message(envelope, bytes, session) {
      const reception = await receive(world, envelope, bytes, world.origin.now(), policy.headerSize);
      await using _spooled = reception.spooled;
      return await deliver(world, policy, envelope, reception, session);
    },
  };
}

async function deliver(
  world: DeliveryWorld,
  policy: DeliveryPolicy,
  envelope: SmtpEnvelope,
  reception: Reception,
  { gone }: Session,
): Promise<readonly Reply[]> {
  const operation: Operation = {
    ...statedBy(reception),
    point: 'delivery',
    transaction: world.origin.messageId(),
    at: world.origin.now(),
    sender: envelope.from,
    recipients: envelope.to,
  };
  const { class: received, spooled } = reception;
  const hearing = hearingOf(received, policy.domains, world.trust.directory);
  if (hearing !== undefined) await world.waits.note(hearing, operation.at);
  if (received.class === 'ordinary') {
    const bounce = { envelope, reception, operation };
    const correlated = await correlate(world, policy.issuer, bounce, 'from our MTA');
    if (correlated?.complete) return [settled(correlated.line, operation.transaction)];
  }
  const deliveries =
    received.class === 'transport-envelope' ? deliveriesOf(world, envelope, reception, received) : [];
  // Before the mailbox has it: a receipt that could not be kept afterwards would never be paid.
  const message = heldUntil(spooled.read(), async () => {
    for (const { original } of deliveries) if (original !== undefined) await spooled.keep(original.file);
  });
  const verdict = await offer(world, envelope, message, operation, { gone })
    .catch(trouble => unreached(trouble, envelope))
    .catch(async trouble => {
      // An outcome that nobody knows never becomes a receipt.
      await release(world.spool, deliveries, undefined);
      throw trouble;
    });
  const at = world.origin.now();
  const debts = debtsOf(world, policy, received, deliveries, verdict, at);
  await release(world.spool, deliveries, verdict.custody);
  const refusals = [...verdict.rejections, ...verdict.undecided];
  const line = await settle(world, {
    ...operation,
    at,
    event: verdict.custody === undefined ? 'refused' : 'delivered',
    debts,
    ...(hearing && { heard: hearing }),
    ...(refusals.length > 0 && {
      reason: refusals.map(({ recipient, code, text }) => `${recipient}: ${code} ${text}`).join('; '),
    }),
  });
  return envelope.to.map(recipient => replyFor(recipient, verdict, line));
}

type TransportEnvelope = Extract<ReceivedClass, { class: 'transport-envelope' }>;
/** A delivery receipt that will be owed once the mailbox has the message. */
type Delivery = Omit<DeliveryReceipt, 'at'>;

/** The receipt that each recipient would earn, in the form asked for (§3.3.2). */
function deliveriesOf(
  { origin }: DeliveryWorld,
  { to }: SmtpEnvelope,
  { header, original }: Reception,
  { certification: { about, ricevuta = 'completa' } }: TransportEnvelope,
): readonly Delivery[] {
  return to.map(recipient => {
    const form = formFor(recipient, header, ricevuta);
    const messageId = origin.messageId();
    const kept = form !== 'sintetica' &&
      original && { file: messageId, start: original.start, end: original.end };
    const delivery = {
      kind: 'avvenuta-consegna',
      messageId,
      to: about.sender,
      about,
      recipient,
      form,
    } as const;
    return { ...delivery, ...(kept && { original: kept }) };
  });
}

/** A delivery receipt for each mailbox that has the transport envelope, a non-delivery receipt for each that never will (§3.3). */
function debtsOf(
  { origin }: DeliveryWorld,
  { issuer, idle }: DeliveryPolicy,
  received: ReceivedClass,
  deliveries: readonly Delivery[],
  { custody, rejections, undecided }: Verdict,
  at: Instant,
): readonly OwedDebt[] {
  if (received.class !== 'transport-envelope') return [];
  const { certification } = received;
  const { about } = certification;
  const debt = () => ({ messageId: origin.messageId(), at, to: about.sender, about });
  const failure = expired(undecided, certification.at, at, idle);
  const tooLate = idleError(issuer.name);
  return [
    ...oweFailures(rejections, issuer.name, debt),
    ...failure.recipients.map(recipient =>
      owe({ kind: 'errore-consegna', ...debt(), recipient, error: tooLate }, failure),
    ),
    ...(custody === undefined
      ? []
      : deliveries.filter(one => has(custody, one)).map(one => owe({ ...one, at }, custody))),
  ];
}

function has({ recipients }: Custody, { recipient }: Delivery): boolean {
  return recipients.includes(recipient);
}

/** A mail store that is away puts every recipient off: the 24 hours of idle mail run on (§2.2.2). */
function unreached(trouble: unknown, { to }: SmtpEnvelope): Verdict {
  if (!(trouble instanceof NothingSent)) throw trouble;
  return verdictOf(
    to.map(recipient => ({ recipient, code: 451, enhanced: '4.4.1', text: 'The mail store is away' })),
  );
}

/** Forgets what was kept for receipts that are not owed. */
async function release(
  spool: Spool,
  deliveries: readonly Delivery[],
  custody: Custody | undefined,
): Promise<void> {
  for (const delivery of deliveries) {
    const owed = custody !== undefined && has(custody, delivery);
    if (!owed && delivery.original !== undefined) await spool.release(delivery.original.file);
  }
}

/** A failure that the sender hears of by receipt is settled: the MTA would only bounce it, or try again (§3.3.3). */
function replyFor(recipient: Mailbox, { custody, rejections, undecided }: Verdict, line: Journaled): Reply {
  const { transaction, debts = [] } = line.line;
  if (custody?.recipients.includes(recipient)) return accepted(custody, line, transaction);
  const told = debts.some(({ debt }) => debt.kind === 'errore-consegna' && debt.recipient === recipient);
  if (told) return settled(line, transaction);
  const answer = [...rejections, ...undecided].find(one => one.recipient === recipient);
  return answer === undefined ? new Refusal('trouble').reply : passedBack(answer);
}
