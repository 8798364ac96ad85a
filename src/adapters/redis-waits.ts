// What was heard of the messages that our users sent, until their waits are over: one Redis hash each. RFC 6109 §3.1.6
import type { Redis } from 'ioredis';
import type { MessageFacts } from '../pec/receipts.ts';
import type { Heard, Tracked } from '../pec/tracking.ts';
import { type Instant, mailboxKey, type PecMsgid } from '../pec/values.ts';
import type { Waits } from '../points/ports.ts';

export interface WaitsOptions {
  /** In milliseconds: how long a message is remembered after it was last tracked. */
  readonly keep?: number;
}

/** Fields: `about`, as JSON; `HEARD RECIPIENT`, the instant of the first hearing, in milliseconds since 1970. */
const keyOf = (pecMsgid: PecMsgid) => `{pecd}:wait:${pecMsgid}`;

// Scripts, because each must happen as a whole: no hash without an end, none for a message that is not tracked.
const TRACK = `
  redis.call('HSETNX', KEYS[1], 'about', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])`;
const NOTE = `
  if redis.call('EXISTS', KEYS[1]) == 0 then return end
  for n = 2, #ARGV do redis.call('HSETNX', KEYS[1], ARGV[n], ARGV[1]) end`;

/** `redis` as connectRedis makes it: all reject when it is away. */
export function redisWaits(redis: Redis, { keep = 30 * 24 * 3600 * 1000 }: WaitsOptions = {}): Waits {
  return {
    async track(about) {
      await redis.eval(TRACK, 1, keyOf(about.pecMsgid), JSON.stringify(about), keep);
    },
    async note({ pecMsgid, heard, recipients }, at) {
      const fields = recipients.map(recipient => `${heard} ${mailboxKey(recipient)}`);
      await redis.eval(NOTE, 1, keyOf(pecMsgid), at, ...fields);
    },
    async of(pecMsgid) {
      const { about, ...fields } = await redis.hgetall(keyOf(pecMsgid));
      return about === undefined
        ? undefined
        : { about: JSON.parse(about) as MessageFacts, heard: heardIn(fields) };
    },
  };
}

function heardIn(fields: Readonly<Record<string, string>>): Tracked['heard'] {
  const heard = new Map<string, Partial<Record<Heard, Instant>>>();
  for (const [field, at] of Object.entries(fields)) {
    const blank = field.indexOf(' ');
    const recipient = field.slice(blank + 1);
    heard.set(recipient, { ...heard.get(recipient), [field.slice(0, blank)]: Number(at) as Instant });
  }
  return heard;
}
