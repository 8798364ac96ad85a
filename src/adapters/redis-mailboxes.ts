// Which mailboxes take ordinary mail: the choices of their holders, in one Redis hash that every node reads
import type { Redis } from 'ioredis';
import { type Mailbox, mailboxKey } from '../pec/values.ts';
import type { Mailboxes } from '../points/ports.ts';

const KEY = '{pecd}:mailboxes';

export interface RedisMailboxes extends Mailboxes {
  open(mailbox: Mailbox): Promise<void>;
  close(mailbox: Mailbox): Promise<void>;
  /** The mailboxes with a choice of their own, in alphabetical order; all others are as the default says. */
  list(): Promise<readonly { readonly mailbox: Mailbox; readonly open: boolean }[]>;
}

/** Nothing is cached: a choice takes effect with the next question, on every node. All reject when Redis is away. */
export function redisMailboxes(redis: Redis, byDefault: 'accept' | 'reject'): RedisMailboxes {
  return {
    async isOpen(mailbox) {
      const choice = await redis.hget(KEY, mailboxKey(mailbox));
      return choice === null ? byDefault === 'accept' : choice === 'open';
    },
    async open(mailbox) {
      await redis.hset(KEY, mailboxKey(mailbox), 'open');
    },
    async close(mailbox) {
      await redis.hset(KEY, mailboxKey(mailbox), 'closed');
    },
    async list() {
      const choices = Object.entries(await redis.hgetall(KEY));
      return choices
        .map(([mailbox, choice]) => ({ mailbox: mailbox as Mailbox, open: choice === 'open' }))
        .sort((a, b) => (a.mailbox < b.mailbox ? -1 : 1));
    },
  };
}
