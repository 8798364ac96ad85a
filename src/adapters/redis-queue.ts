// The debt book: a job in Redis (BullMQ) for every receipt we owe, paid by a worker that does not give up on trouble
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type JobType, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import { type Debt, debtKey } from '../pec/receipts.ts';
import { type Instant, instant } from '../pec/values.ts';
import type { Events } from '../points/events.ts';
import type { DebtBook } from '../points/ports.ts';

/** As ioredis's constructor has it: there the one option may be absent, but not undefined. */
type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>;

/** The braces keep all keys in one slot of a cluster. */
const PREFIX = '{pecd}';
const QUEUE = 'owed';

/** In milliseconds: within it Redis has answered, or is away. */
const ANSWER = 2_000;

/**
 * A connection whose commands reject at once while Redis is away, and within 2 s if it falls silent; it reconnects for ever.
 * `url` is redis://, rediss:// or unix:///path/of/socket?db=0.
 */
export function connectRedis(url: string): Redis {
  return connection(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: ANSWER,
    socketTimeout: 5 * ANSWER,
  });
}

/** In milliseconds: the pause before a connection is tried again. */
const pause = (attempt: number) => Math.min(attempt * 100, ANSWER);

function connection(url: string, options: ConnectionOptions): Redis {
  const all: ConnectionOptions = { retryStrategy: pause, ...options };
  const redis = url.startsWith('unix:') ? new Redis({ ...all, ...socketOf(url) }) : new Redis(url, all);
  // Whoever asks hears of it, and it reconnects by itself; without a listener the event would end the process.
  return redis.on('error', () => {});
}

/** ioredis knows no unix URL. */
function socketOf(url: string): ConnectionOptions {
  const { pathname, searchParams, username, password } = new URL(url);
  return {
    path: decodeURIComponent(pathname),
    db: Number(searchParams.get('db') ?? 0),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  };
}

/** Rejects with one line unless this Redis keeps what it acknowledged: append-only file, nothing evicted. */
export async function checkDurable(redis: Redis, options: { allowVolatile: boolean }): Promise<void> {
  if (options.allowVolatile) return;
  // INFO, because hosted servers forbid CONFIG GET.
  const info = `${await redis.info('persistence')}\n${await redis.info('memory')}`;
  const value = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  if (value('aof_enabled') !== '1') throw new Error('this Redis forgets: it needs appendonly yes');
  const policy = value('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new Error(`this Redis forgets: it needs maxmemory-policy noeviction, not ${policy}`);
  }
}

export interface BookedDebt {
  readonly id: string;
  readonly debt: Debt;
  /** When it was, or will be, tried for the first time. */
  readonly due: Instant;
  /** Attempts made so far. */
  readonly attempts: number;
  /** What the last attempt failed of. */
  readonly why?: string;
}

export interface RedisDebtBook extends DebtBook, AsyncDisposable {
  /** A thousand debts at most of each: 'owed' are due now or later, 'failed' are not tried again by themselves. */
  list(which: 'owed' | 'failed'): Promise<readonly BookedDebt[]>;
  /** Has a failed debt tried again, from now. Rejects if it is not among the failed. */
  retry(id: string): Promise<void>;
}

export interface BookOptions {
  /**
   * Name of the queue, without colons. Debts belong to the node whose journal and spool hold them:
   * nodes that share one Redis have a name each.
   */
  readonly queue?: string;
  /** How often a debt is tried before a human must look at it. */
  readonly attempts?: number;
  /** In seconds: how long a paid debt is remembered, so that finding it again does not pay it again. */
  readonly remember?: number;
}

/** `redis` as connectRedis makes it; it stays open when the book is disposed. */
export function openDebtBook(redis: Redis, options: BookOptions = {}): RedisDebtBook {
  // Every ten minutes at the slowest (startWorker): five weeks.
  // Longer than the journal looks back for debts: what comes again after it was paid is known here.
  const { queue: name = QUEUE, attempts = 5_000, remember = 15 * 24 * 3600 } = options;
  const queue = new Queue<Debt>(name, {
    connection: redis,
    prefix: PREFIX,
    // The version check would ask once, and fail for ever if Redis went away meanwhile.
    skipVersionCheck: true,
    defaultJobOptions: {
      attempts,
      backoff: { type: 'owed' },
      removeOnComplete: { age: remember },
      removeOnFail: false,
      stackTraceLimit: 1,
    },
  });
  queue.on('error', () => {});

  return {
    async ready() {
      // A write, because a Redis that is full or has become a replica still answers PING.
      await redis.set(`${PREFIX}:ready`, '1');
    },
    async book(debts) {
      // BullMQ would wait for a first connection without end.
      if (redis.status !== 'ready') throw new Error('Redis is away');
      const jobs = debts.map(debt => {
        return { name: debt.kind, data: debt, opts: { jobId: jobId(debt), delay: delayOf(debt) } };
      });
      await queue.addBulk(jobs);
    },
    async list(which) {
      const states: JobType[] = which === 'failed' ? ['failed'] : ['active', 'waiting', 'delayed'];
      const jobs = await queue.getJobs(states, 0, 999, true);
      return jobs.map(({ id = '', data, attemptsMade: attempts, failedReason: why, timestamp }) => {
        const due = data.kind === 'attesa' ? data.due : instant(timestamp);
        return { id, debt: data, due, attempts, ...(why && { why }) };
      });
    },
    async retry(id) {
      const job = await queue.getJob(id);
      if (job === undefined) throw new Error(`no debt with the id ${id}`);
      await job.retry('failed', { resetAttemptsMade: true });
    },
    [Symbol.asyncDispose]: () => queue.close(),
  };
}

/** BullMQ allows no colon in an id. */
const jobId = (debt: Debt) => createHash('sha256').update(debtKey(debt)).digest('hex');

/** In milliseconds from now. */
function delayOf(debt: Debt): number {
  return debt.kind === 'attesa' ? Math.max(debt.due - Date.now(), 0) : 0;
}

export interface WorkerOptions {
  /** Debts paid at the same time. */
  readonly concurrency: number;
  /** As in BookOptions. */
  readonly queue?: string;
  /** In milliseconds: the pause after the first failure of a debt. It doubles each time, up to `longestPause`. */
  readonly firstPause?: number;
  readonly longestPause?: number;
  /** In milliseconds: a worker that has not been heard of for so long is dead, and its debts are paid by another. */
  readonly lease?: number;
  /** Called once Redis has it that a debt is paid: only now it is certain not to be paid again. */
  readonly paid?: (debt: Debt) => Promise<void>;
}

export interface DebtWorker extends AsyncDisposable {
  /** Stops at once, also a disposal under way: what is being paid is left, and paid again later. Disposing lets it finish. */
  abort(): void;
}

/**
 * Pays every debt of the queue with `pay`, which must bear being run twice for one debt. What it throws is tried again,
 * but an Error named `Unpayable` at once leaves the debt among the failed. `url` as for connectRedis.
 */
export function startWorker(
  url: string,
  pay: (debt: Debt) => Promise<void>,
  options: WorkerOptions,
  events: Pick<Events, 'receiptFailed' | 'trouble'>,
): DebtWorker {
  const { queue = QUEUE, firstPause = 1_000, longestPause = 600_000, lease = 30_000 } = options;
  let ending = false;
  // While Redis is away commands wait: rejected ones would make BullMQ ask again without a pause.
  // Once the worker ends, a lost connection stays lost: BullMQ would wait for it without end.
  const retryStrategy = (attempt: number) => (ending ? null : pause(attempt));
  const redis = connection(url, { maxRetriesPerRequest: null, retryStrategy });
  // BullMQ makes a second one for its blocking command.
  const connections = [redis];
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = override => {
    const copy = duplicate(override);
    connections.push(copy);
    return copy;
  };
  const running = new Set<Promise<void>>();
  const run = (debt: Debt) => {
    const payment = pay(debt)
      .catch(rethrow)
      .finally(() => running.delete(payment));
    running.add(payment);
    return payment;
  };
  const worker = new Worker<Debt, void>(queue, job => run(job.data), {
    connection: redis,
    prefix: PREFIX,
    concurrency: options.concurrency,
    lockDuration: lease,
    stalledInterval: lease,
    // In seconds and milliseconds: what an idle and a failed question for work may delay the end.
    drainDelay: 1,
    runRetryDelay: 1_000,
    // However often a worker dies with it, the debt remains.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    settings: { backoffStrategy: attempt => Math.min(firstPause * 2 ** (attempt - 1), longestPause) },
  });
  // While Redis is away BullMQ repeats what the connection says; the rest is news.
  worker.on('error', error => {
    if (redis.status === 'ready') events.trouble('redis', error);
  });
  worker.on('failed', (job, error) => {
    if (job === undefined) return;
    events.receiptFailed(job.data.kind, job.attemptsMade, error);
    if (job.finishedOn !== undefined) events.trouble('debt-given-up', error);
  });
  worker.on('completed', ({ data }) => {
    options.paid?.(data).catch(trouble => events.trouble('debt paid', trouble));
  });
  const aborted = Promise.withResolvers<void>();
  const drained = async () => {
    await worker.pause(true);
    while (running.size > 0) await Promise.allSettled(running);
    ending = true;
    await Promise.all(connections.map(readyOrEnded));
    // A payment that Redis does not record now is made again later.
    await Promise.race([worker.close(), delay(ANSWER, undefined, { ref: false })]);
  };
  const cut = () => {
    for (const each of connections) if (each.status !== 'end') each.disconnect();
  };
  return {
    abort() {
      void worker.close(true);
      cut();
      aborted.resolve();
    },
    async [Symbol.asyncDispose]() {
      await Promise.race([drained(), aborted.promise]);
      cut();
    },
  };
}

function readyOrEnded(redis: Redis): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (redis.status === 'ready' || redis.status === 'end') resolve();
  redis.once('ready', resolve).once('end', resolve);
  return promise;
}

/** Throws what `pay` threw as BullMQ wants it. */
function rethrow(trouble: unknown): never {
  if (!(trouble instanceof Error)) throw new Error(String(trouble));
  throw trouble.name === 'Unpayable' ? new UnrecoverableError(trouble.message) : trouble;
}
