// What the journal promised and Redis does not know is booked again, and what it heard is noted again: at start, and when Redis comes back
import type { Debt, MessageFacts } from '../pec/receipts.ts';
import type { Hearing } from '../pec/tracking.ts';
import type { Instant, PecMsgid } from '../pec/values.ts';
import type { DebtBook, Waits } from '../points/ports.ts';

/** The journal, read back. */
export interface Memory {
  /** Debts journaled and not yet paid. */
  unsettled(): AsyncIterable<Debt>;
  /** What was heard of messages of ours, for as long as a wait for them can be open. */
  hearings(): AsyncIterable<{ readonly hearing: Hearing; readonly at: Instant }>;
}

const BATCH = 200;

/** Books every unsettled debt of the journal. Resolves with their number; booking what is booked changes nothing. */
export async function reconcile(journal: Memory, book: DebtBook, waits: Waits): Promise<number> {
  const debts = await Array.fromAsync(journal.unsettled());
  // First, because a wait that is over is looked into as soon as it is booked.
  await restore(journal, waits, debts);
  for (let at = 0; at < debts.length; at += BATCH) await book.book(debts.slice(at, at + BATCH));
  return debts.length;
}

/** Tracks again the messages of open waits that Redis lost, with all that was heard of them. */
async function restore(journal: Memory, waits: Waits, debts: readonly Debt[]): Promise<void> {
  const lost = new Map<PecMsgid, MessageFacts>();
  for (const { kind, about } of debts) {
    const isOpen = kind === 'attesa' && !lost.has(about.pecMsgid);
    if (isOpen && (await waits.of(about.pecMsgid)) === undefined) lost.set(about.pecMsgid, about);
  }
  if (lost.size === 0) return;
  const heard = (await Array.fromAsync(journal.hearings())).filter(({ hearing }) =>
    lost.has(hearing.pecMsgid),
  );
  const byMessage = Map.groupBy(heard, ({ hearing }) => hearing.pecMsgid);
  for (const [pecMsgid, about] of lost) {
    await waits.track(about);
    for (const { hearing, at } of byMessage.get(pecMsgid) ?? []) await waits.note(hearing, at);
  }
}
