// What the journal promised and Redis does not know is booked again, and what it heard is noted again: at start, and when Redis comes back
import type { Debt } from '../pec/receipts.ts';
import type { Hearing } from '../pec/tracking.ts';
import type { Instant } from '../pec/values.ts';
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

/** Tracks the messages of open waits, with all that was heard of them: Redis may have lost any part of it. */
async function restore(journal: Memory, waits: Waits, debts: readonly Debt[]): Promise<void> {
  const open = new Map(
    debts.filter(({ kind }) => kind === 'attesa').map(({ about }) => [about.pecMsgid, about] as const),
  );
  if (open.size === 0) return;
  for (const about of open.values()) await waits.track(about);
  for await (const { hearing, at } of journal.hearings())
    if (open.has(hearing.pecMsgid)) await waits.note(hearing, at);
}
