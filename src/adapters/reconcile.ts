// What the journal promised and the queue does not know is booked again: at start, and when Redis comes back
import type { Debt } from '../pec/receipts.ts';
import type { DebtBook } from '../points/ports.ts';

const BATCH = 200;

/** Books every unsettled debt of the journal. Resolves with their number; booking what is booked changes nothing. */
export async function reconcile(
  journal: { unsettled(): AsyncIterable<Debt> },
  book: DebtBook,
): Promise<number> {
  let booked = 0;
  let batch: Debt[] = [];
  const flush = async () => {
    if (batch.length > 0) await book.book(batch);
    booked += batch.length;
    batch = [];
  };
  for await (const debt of journal.unsettled()) {
    batch.push(debt);
    if (batch.length === BATCH) await flush();
  }
  await flush();
  return booked;
}
