// Journal against queue: what was promised on disk is in Redis again
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reconcile } from '../../src/adapters/reconcile.ts';
import type { Debt } from '../../src/pec/receipts.ts';
import type { Heard, Hearing } from '../../src/pec/tracking.ts';
import type { Instant } from '../../src/pec/values.ts';
import type { Waits } from '../../src/points/ports.ts';

const debts = Array.from(
  { length: 450 },
  (_, n) => ({ kind: 'accettazione', messageId: `receipt${n}@pec.alfa.example`, about: {} }) as Debt,
);

function journalOf(owed: readonly Debt[], heard: readonly { hearing: Hearing; at: Instant }[] = []) {
  return {
    async *unsettled() {
      yield* owed;
    },
    async *hearings() {
      yield* heard;
    },
  };
}

/** Waits in memory, with a note of what was done in what order. */
function waitsOf(steps: string[] = []): Waits {
  return {
    track: async ({ pecMsgid }) => void steps.push(`track ${pecMsgid}`),
    note: async ({ pecMsgid, heard, recipients }) => void steps.push(`${heard} ${pecMsgid} ${recipients}`),
    of: () => assert.fail('nobody asks'),
  };
}

describe('reconcile', () => {
  it('books every unsettled debt once, in order, in batches', async () => {
    const batches: (readonly Debt[])[] = [];
    const book = {
      ready: async () => {},
      book: async (batch: readonly Debt[]) => void batches.push([...batch]),
    };
    assert.equal(await reconcile(journalOf(debts), book, waitsOf()), 450);
    assert.deepEqual(batches.flat(), debts);
    assert.deepEqual(
      batches.map(batch => batch.length),
      [200, 200, 50],
    );
  });

  it('books nothing where nothing is owed', async () => {
    const book = { ready: async () => {}, book: () => assert.fail('nothing to book') };
    assert.equal(await reconcile(journalOf([]), book, waitsOf()), 0);
  });

  it('rejects when the book does not take a batch, and asks no further', async () => {
    let calls = 0;
    const book = {
      ready: async () => {},
      book: async () => {
        calls += 1;
        throw new Error('Redis is away');
      },
    };
    await assert.rejects(reconcile(journalOf(debts), book, waitsOf()), { message: 'Redis is away' });
    assert.equal(calls, 1);
  });

  it('tracks open waits again, with all that was heard of them, before one is booked: Redis may have lost any part', async () => {
    const wait = (pecMsgid: string, notice: 'first' | 'second') =>
      ({ kind: 'attesa', notice, about: { pecMsgid } }) as Debt;
    const hearing = (pecMsgid: string, heard: Heard) =>
      ({ hearing: { pecMsgid, heard, recipients: ['bruno'] }, at: 0 }) as unknown as {
        hearing: Hearing;
        at: Instant;
      };
    const steps: string[] = [];
    const book = {
      ready: async () => {},
      book: async (batch: readonly Debt[]) => void steps.push(`book ${batch.length}`),
    };
    const owed = [wait('one', 'first'), wait('one', 'second'), wait('two', 'first')];
    const heard = [
      hearing('one', 'presa-in-carico'),

      hearing('old', 'errore-consegna'),
    ];
    await reconcile(journalOf(owed, heard), book, waitsOf(steps));
    assert.deepEqual(steps, ['track one', 'track two', 'presa-in-carico one bruno', 'book 3']);
  });
});
