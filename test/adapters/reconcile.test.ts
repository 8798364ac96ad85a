// Journal against queue: what was promised on disk is in Redis again
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reconcile } from '../../src/adapters/reconcile.ts';
import type { Debt } from '../../src/pec/receipts.ts';

const debts = Array.from({ length: 450 }, (_, n) => ({ messageId: `receipt${n}@pec.alfa.example` }) as Debt);

function journalOf(owed: readonly Debt[]) {
  return {
    async *unsettled() {
      yield* owed;
    },
  };
}

describe('reconcile', () => {
  it('books every unsettled debt once, in order, in batches', async () => {
    const batches: (readonly Debt[])[] = [];
    const book = {
      ready: async () => {},
      book: async (batch: readonly Debt[]) => void batches.push([...batch]),
    };
    assert.equal(await reconcile(journalOf(debts), book), 450);
    assert.deepEqual(batches.flat(), debts);
    assert.deepEqual(
      batches.map(batch => batch.length),
      [200, 200, 50],
    );
  });

  it('books nothing where nothing is owed', async () => {
    const book = { ready: async () => {}, book: () => assert.fail('nothing to book') };
    assert.equal(await reconcile(journalOf([]), book), 0);
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
    await assert.rejects(reconcile(journalOf(debts), book), { message: 'Redis is away' });
    assert.equal(calls, 1);
  });
});
