// What survives us, opened together: spool, journal, Redis with the debt book; and the journal read for what Redis forgot
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { type FileJournal, openJournal } from './adapters/file-journal.ts';
import { openSpool } from './adapters/file-spool.ts';
import { reconcile } from './adapters/reconcile.ts';
import { checkDurable, connectRedis, openDebtBook } from './adapters/redis-queue.ts';
import { redisWaits } from './adapters/redis-waits.ts';
import { required } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Events } from './points/events.ts';
import type { DebtBook, Spool, Waits } from './points/ports.ts';

export interface Durable extends AsyncDisposable {
  readonly spool: Spool;
  readonly journal: FileJournal;
  readonly redis: Redis;
  readonly waits: Waits;
  /** Debts that Redis does not take are booked from the journal, soon after. */
  readonly debts: DebtBook;
}

/** In ms: how long Redis may take to answer at start, and how soon the journal is read again for a debt it did not take. */
const SOON = 5_000;
/** In ms: how often the journal is read in any case, and the spool swept. */
const ROUTINE = 3_600_000;

/** Rejects with a StartupError if one of them cannot be used: 69 if Redis is away, else 78. */
export async function openDurable(config: Config, events: Events): Promise<Durable> {
  await using opening = new AsyncDisposableStack();
  const unreadable = (file: string, line: number) =>
    events.trouble('journal', new Error(`${file}:${line} cannot be read, and is left out`));
  const spool = opening.use(await required(78, 'spool', openSpool(config.spool)));
  const journal = opening.use(
    await required(78, 'journal', openJournal(config.journal.directory, { unreadable })),
  );
  const redis = opening.adopt(connectRedis(config.redis.url), connection => connection.disconnect());
  await required(69, 'redis', once(redis, 'ready', { signal: AbortSignal.timeout(SOON) }));
  await required(78, 'redis', checkDurable(redis, config.redis));
  const book = opening.use(openDebtBook(redis));

  await nameOrphans(journal, events);
  await spool.retain(await keptFor(journal), 0);
  const waits = redisWaits(redis);
  const catchUp = catchingUp(() => reconcile(journal, book, waits), events);
  await catchUp();
  const tidy = async () => {
    await catchUp();
    await keptFor(journal)
      .then(names => spool.retain(names, ROUTINE))
      .catch(trouble => events.trouble('spool', trouble));
  };
  const routine = setInterval(tidy, ROUTINE).unref();
  opening.defer(() => clearInterval(routine));
  opening.defer(watch(redis, events, catchUp));
  const open = opening.move();
  return {
    spool,
    journal,
    redis,
    waits,
    debts: {
      ready: () => book.ready(),
      async book(debts) {
        try {
          await book.book(debts);
        } catch (trouble) {
          setTimeout(catchUp, SOON).unref();
          throw trouble;
        }
      },
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Intents that the process before us left without an outcome: each is told, and journaled, once. */
async function nameOrphans(journal: FileJournal, events: Events): Promise<void> {
  for await (const { debts: _, ...intent } of journal.orphans()) {
    events.orphan(intent.transaction);
    await journal.write({ ...intent, event: 'orphan' });
  }
}

/** The names of what the receipts that are still owed carry. */
async function keptFor(journal: FileJournal): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const debt of journal.unsettled())
    if (debt.kind === 'avvenuta-consegna' && debt.original !== undefined) names.add(debt.original.file);
  return names;
}

/** One reading of the journal after the other, never two at a time. */
function catchingUp(read: () => Promise<unknown>, events: Events): () => Promise<void> {
  let running = Promise.resolve();
  return () => {
    running = running.then(async () => {
      await read().catch((trouble: unknown) => events.trouble('reconciliation', trouble));
    });
    return running;
  };
}

/** Tells when Redis goes and comes, and has the journal read when it is back. Returns what ends it. */
function watch(redis: Redis, events: Events, back: () => void): () => void {
  let lost = false;
  events.redisBack();
  const onClose = () => {
    if (!lost) events.redisLost();
    lost = true;
  };
  const onReady = () => {
    lost = false;
    events.redisBack();
    back();
  };
  redis.on('close', onClose).on('ready', onReady);
  return () => {
    redis.off('close', onClose).off('ready', onReady);
  };
}
