// `pecd queue`: what is owed, when it is due, what failed and why
import { type BookedDebt, openDebtBook, type RedisDebtBook } from '../adapters/redis-queue.ts';
import { loadConfig } from '../config/load.ts';
import { UsageError } from './exit-codes.ts';
import { withRedis } from './redis.ts';

export interface QueueOptions {
  /** The configuration file. */
  readonly file: string;
  readonly json: boolean;
}

interface Row {
  readonly id: string;
  /** X-Ricevuta of the receipt; `attesa` for a wait that may end in a notice. */
  readonly kind: string;
  /** ISO 8601, UTC. */
  readonly due: string;
  readonly pecMsgid: string;
  readonly to: string;
  readonly attempts: number;
  readonly why?: string;
}

/** What to print: a thousand debts at most, of those that are owed or of those that are not tried any more. */
export async function listDebts(which: 'owed' | 'failed', { file, json }: QueueOptions): Promise<string> {
  const rows = (await withBook(file, book => book.list(which))).map(rowOf);
  return json ? `${JSON.stringify(rows)}\n` : rows.map(textOf).join('');
}

/** What to print, after the failed debt was booked for another round of attempts. */
export async function retryDebt(id: string, { file, json }: QueueOptions): Promise<string> {
  const found = await withBook(file, async book => {
    const failed = await book.list('failed');
    const known = failed.some(debt => debt.id === id);
    if (known) await book.retry(id);
    return known;
  });
  if (!found) throw new UsageError(`${id}: no failed debt has this id`);
  return json ? `${JSON.stringify({ id })}\n` : `${id} will be tried again\n`;
}

async function withBook<T>(file: string, use: (book: RedisDebtBook) => Promise<T>): Promise<T> {
  const config = await loadConfig(file);
  return withRedis(config.redis.url, async redis => {
    await using book = openDebtBook(redis);
    return await use(book);
  });
}

function rowOf({ id, debt, due, attempts, why }: BookedDebt): Row {
  const { about, kind, to } = debt;
  const time = new Date(due).toISOString().replace('.000Z', 'Z');
  return { id, kind, due: time, pecMsgid: about.pecMsgid, to, attempts, ...(why !== undefined && { why }) };
}

function textOf({ id, kind, due, pecMsgid, to, attempts, why }: Row): string {
  const tried = attempts === 0 ? '' : `, tried ${attempts} times: ${why ?? ''}`;
  return `${id} ${due} ${kind} for ${to} about ${pecMsgid}${tried}\n`;
}
