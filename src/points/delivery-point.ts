// The delivery point: once the mailbox holds a transport envelope, the sender is owed a receipt. RFC 6109 §2.2.3, §3.3
import type { Issuer } from '../pec/compose.ts';
import { deliveryError, formFor } from '../pec/delivery.ts';
import type { KeptOriginal } from '../pec/receipts.ts';
import type { Instant, Mailbox, SmtpEnvelope } from '../pec/values.ts';
import {
  accepted,
  type Journaled,
  type OwedDebt,
  owe,
  passedBack,
  Refusal,
  type Reply,
  settled,
  type Verdict,
} from './custody.ts';
import { type Keepers, type Operation, offer, settle } from './hand-over.ts';
import type { Door, Origin, Session, Spool, Trust } from './ports.ts';
import { type Reception, receive, statedBy } from './reception.ts';

export interface DeliveryPolicy {
  readonly issuer: Issuer;
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
  const verdict = await offer(world, envelope, reception.spooled.read(), operation, gone);
  const at = world.origin.now();
  const debts = await debtsOf(world, policy, reception, verdict, at);
  const refusals = [...verdict.rejections, ...verdict.undecided];
  const line = await settle(world, {
    ...operation,
    at,
    event: verdict.custody === undefined ? 'refused' : 'delivered',
    debts,
    ...(refusals.length > 0 && {
      reason: refusals.map(({ recipient, code, text }) => `${recipient}: ${code} ${text}`).join('; '),
    }),
  });
  const certified = reception.class.class === 'transport-envelope';
  return envelope.to.map(recipient =>
    replyFor(recipient, verdict, line, certified ? 'by receipt' : 'by bounce'),
  );
}

/** A delivery receipt for each mailbox that has the transport envelope, a non-delivery receipt for each that never will (§3.3). */
async function debtsOf(
  { origin }: DeliveryWorld,
  { issuer }: DeliveryPolicy,
  { class: received, header, original, spooled }: Reception,
  { custody, rejections }: Verdict,
  at: Instant,
): Promise<readonly OwedDebt[]> {
  if (received.class !== 'transport-envelope') return [];
  const { about, ricevuta = 'completa' } = received.certification;
  const debt = () => ({ messageId: origin.messageId(), at, to: about.sender, about });
  const debts = rejections.map(rejection => {
    const { recipient, enhanced } = rejection;
    const error = deliveryError(enhanced, issuer.name);
    return owe({ kind: 'errore-consegna', ...debt(), recipient, error }, rejection);
  });
  if (custody === undefined) return debts;
  for (const recipient of custody.recipients) {
    const form = formFor(recipient, header, ricevuta);
    const delivery = { kind: 'avvenuta-consegna', ...debt(), recipient, form } as const;
    const kept = form === 'sintetica' ? {} : { original: await keep(spooled, delivery.messageId, original) };
    debts.push(owe({ ...delivery, ...kept }, custody));
  }
  return debts;
}

/** What a transport envelope carries is there: admission saw to it. */
async function keep(
  spooled: Reception['spooled'],
  file: string,
  original: Reception['original'],
): Promise<KeptOriginal> {
  if (original === undefined) throw new Error('a transport envelope without its original');
  await spooled.keep(file);
  return { file, start: original.start, end: original.end };
}

/** A permanent refusal that the sender hears of by receipt is settled; the MTA would only bounce it (§3.3.3). */
function replyFor(
  recipient: Mailbox,
  { custody, rejections, undecided }: Verdict,
  line: Journaled,
  told: 'by receipt' | 'by bounce',
): Reply {
  const { transaction } = line.line;
  if (custody?.recipients.includes(recipient)) return accepted(custody, line, transaction);
  const rejection = rejections.find(one => one.recipient === recipient);
  if (rejection !== undefined)
    return told === 'by receipt' ? settled(rejection, line, transaction) : passedBack(rejection);
  const answer = undecided.find(one => one.recipient === recipient);
  return answer === undefined ? new Refusal('trouble').reply : passedBack(answer);
}
