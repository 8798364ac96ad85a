// What all doors end with: the commit gate before the final dot, the journal and the debts after the keeper's answer.
import { heldUntil } from '../mime/bytes.ts';
import { deliveryError } from '../pec/delivery.ts';
import type { NonDelivery } from '../pec/receipts.ts';
import type { SmtpEnvelope } from '../pec/values.ts';
import {
  type Custody,
  type Journaled,
  type JournalLine,
  type OwedDebt,
  owe,
  Refusal,
  type Rejection,
  type Verdict,
  verdictOf,
} from './custody.ts';
import type { Events } from './events.ts';
import type { DebtBook, DeliverOptions, Journal, Keeper, Waits } from './ports.ts';

export interface Keepers {
  readonly keeper: Keeper;
  readonly journal: Journal;
  readonly debts: DebtBook;
  readonly waits: Waits;
  readonly events: Events;
}

/** What the lines of one transaction have in common. */
export type Operation = Omit<JournalLine, 'event'>;

export interface Offer extends Omit<DeliverOptions, 'signal'> {
  /** Aborted when the client vanishes. */
  readonly gone: AbortSignal;
}

/**
 * Offers a message to the keeper. The final dot waits until the debt book answers and the intent is on disk;
 * if either fails, or the client vanishes, the keeper never sees it. Rejects when nobody knows whether the keeper has the message.
 */
export async function offer(
  { keeper, journal, debts }: Keepers,
  envelope: SmtpEnvelope,
  message: AsyncIterable<Buffer>,
  operation: Operation,
  options: Offer,
): Promise<Verdict> {
  const { gone, ...others } = options;
  const gate = async () => {
    await debts.ready();
    await journal.write({ ...operation, event: 'intent' });
    gone.throwIfAborted();
  };
  return verdictOf(await keeper.deliver(envelope, heldUntil(message, gate), { ...others, signal: gone }));
}

/** Like `offer`, for a keeper that takes a message as one: unless it took it for somebody, its answer is thrown. */
export async function handOver(
  keepers: Keepers,
  envelope: SmtpEnvelope,
  message: AsyncIterable<Buffer>,
  operation: Operation,
  options: Offer,
): Promise<{ readonly custody: Custody; readonly rejections: readonly Rejection[] }> {
  const { custody, rejections, undecided } = await offer(keepers, envelope, message, operation, options);
  if (custody !== undefined) return { custody, rejections };
  const [answer] = [...undecided, ...rejections];
  await keepers.journal.write({ ...operation, event: 'refused', reason: answer?.text ?? 'no answer' });
  throw answer === undefined ? new Refusal('keeperBusy') : new Refusal(answer);
}

/** What a keeper refused for good, the sender hears of as a non-delivery (§3.3.3). `debt` is asked for each recipient. */
export function oweFailures(
  rejections: readonly Rejection[],
  provider: string,
  debt: () => Pick<NonDelivery, 'messageId' | 'at' | 'to' | 'about'>,
): readonly OwedDebt[] {
  return rejections.map(rejection => {
    const { recipient, enhanced } = rejection;
    const error = deliveryError(enhanced, provider);
    return owe({ kind: 'errore-consegna', ...debt(), recipient, error }, rejection);
  });
}

/**
 * Writes the outcome to disk, then books its debts and closes the waits of those who will not get the message.
 * What Redis does not take now is booked from the journal later.
 */
export async function settle(
  { journal, debts, waits, events }: Keepers,
  outcome: JournalLine,
): Promise<Journaled> {
  const line = await journal.write(outcome);
  const owed = (outcome.debts ?? []).map(({ debt }) => debt);
  try {
    if (owed.length > 0) await debts.book(owed);
    for (const debt of owed) {
      if (debt.kind !== 'errore-consegna') continue;
      const { about, kind, recipient } = debt;
      await waits.note({ pecMsgid: about.pecMsgid, heard: kind, recipients: [recipient] }, outcome.at);
    }
  } catch (trouble) {
    events.trouble('debt book', trouble);
  }
  return line;
}
