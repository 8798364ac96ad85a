// What was heard of a message, in a real Redis that is also killed
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import type { Redis } from 'ioredis';
import { connectRedis } from '../../src/adapters/redis-queue.ts';
import { redisWaits } from '../../src/adapters/redis-waits.ts';
import { until } from '../../src/demo/processes.ts';
import type { MessageFacts } from '../../src/pec/receipts.ts';
import type { Hearing } from '../../src/pec/tracking.ts';
import { instant, type Mailbox, type PecMsgid } from '../../src/pec/values.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const luisa = 'Luisa@pec.beta.example' as Mailbox;
const odd = '"two words"@pec.beta.example' as Mailbox;
const at = (seconds: number) => instant(Date.UTC(2026, 2, 1, 12, 0, seconds));

let count = 0;
function message(subject = 'Perché: no?'): MessageFacts {
  const sender = 'mario@pec.alfa.example' as Mailbox;
  return {
    pecMsgid: `opec${count++}@pec.alfa.example` as PecMsgid,
    sender,
    recipients: [luisa, odd].map(address => ({ address, kind: 'certificato' })),
    replyTo: sender,
    subject,
  };
}

const hearing = (about: MessageFacts, heard: Hearing['heard'], ...recipients: Mailbox[]): Hearing => {
  return { pecMsgid: about.pecMsgid, heard, recipients };
};

let server: TestRedis;
let redis: Redis;
let other: Redis;
before(async () => {
  server = await startRedis();
  redis = connectRedis(server.url);
  other = connectRedis(server.socketUrl);
  await Promise.all([once(redis, 'ready'), once(other, 'ready')]);
});
after(async () => {
  redis.disconnect();
  other.disconnect();
  await server[Symbol.asyncDispose]();
});

const keys = async () => (await redis.keys('*')).sort();

describe('redisWaits', () => {
  it('a tracked message is known as it was on every node, and what is heard of it by recipient', async () => {
    const about = message();
    await redisWaits(redis).track(about);
    assert.deepEqual(await redisWaits(other).of(about.pecMsgid), { about, heard: new Map() });
    await redisWaits(other).note(hearing(about, 'presa-in-carico', luisa, odd), at(1));
    await redisWaits(redis).note(hearing(about, 'errore-consegna', odd), at(2));
    assert.deepEqual(await redisWaits(redis).of(about.pecMsgid), {
      about,
      heard: new Map([
        ['luisa@pec.beta.example', { 'presa-in-carico': at(1) }],
        ['"two words"@pec.beta.example', { 'presa-in-carico': at(1), 'errore-consegna': at(2) }],
      ]),
    });
  });

  it('the first hearing counts, in any spelling of the recipient', async () => {
    const waits = redisWaits(redis);
    const about = message();
    await waits.track(about);
    await waits.note(hearing(about, 'avvenuta-consegna', luisa), at(2));
    await waits.note(hearing(about, 'avvenuta-consegna', 'LUISA@pec.beta.example' as Mailbox), at(1));
    const tracked = await waits.of(about.pecMsgid);
    assert.deepEqual(tracked?.heard, new Map([['luisa@pec.beta.example', { 'avvenuta-consegna': at(2) }]]));
  });

  it('what is tracked already stays as it is', async () => {
    const waits = redisWaits(redis);
    const about = message();
    await waits.track(about);
    await waits.note(hearing(about, 'presa-in-carico', luisa), at(1));
    await waits.track({ ...about, subject: 'another' });
    const tracked = await waits.of(about.pecMsgid);
    assert.deepEqual(tracked?.about, about);
    assert.equal(tracked?.heard.size, 1);
  });

  it('a message that is not tracked is passed over, and stays unknown', async () => {
    const waits = redisWaits(redis);
    const about = message();
    const before = await keys();
    await waits.note(hearing(about, 'avvenuta-consegna', luisa), at(1));
    assert.equal(await waits.of(about.pecMsgid), undefined);
    assert.deepEqual(await keys(), before);
  });

  it('a message is forgotten, with what was heard of it, so long after it was last tracked', async () => {
    const about = message();
    const waits = redisWaits(redis, { keep: 30 });
    await waits.track(about);
    await waits.note(hearing(about, 'avvenuta-consegna', luisa), at(1));
    await until('it to be forgotten', 10_000, async () => (await waits.of(about.pecMsgid)) === undefined);
    await waits.note(hearing(about, 'avvenuta-consegna', luisa), at(1));
    assert.equal(await waits.of(about.pecMsgid), undefined);
  });

  it('tracking it again, and nothing else, makes it last longer', async () => {
    const about = message();
    const [key = ''] = [`{pecd}:wait:${about.pecMsgid}`];
    await redisWaits(redis, { keep: 60_000 }).track(about);
    await redisWaits(redis).note(hearing(about, 'avvenuta-consegna', luisa), at(1));
    assert.ok((await redis.pttl(key)) <= 60_000);
    await redisWaits(redis).track(about);
    const days = (await redis.pttl(key)) / 86_400_000;
    assert.ok(days > 29 && days <= 30, `${days}`);
  });

  it('outlives a Redis that is killed; while it is away all reject', async () => {
    const waits = redisWaits(redis);
    const about = message();
    await waits.track(about);
    await waits.note(hearing(about, 'presa-in-carico', luisa), at(1));
    await server.kill();
    await assert.rejects(waits.track(about));
    await assert.rejects(waits.note(hearing(about, 'avvenuta-consegna', luisa), at(2)));
    await assert.rejects(waits.of(about.pecMsgid));
    const back = new Promise<void>(resolve => redis.once('ready', () => resolve()));
    await server.start();
    await back;
    const heard = new Map([['luisa@pec.beta.example', { 'presa-in-carico': at(1) }]]);
    assert.deepEqual(await waits.of(about.pecMsgid), { about, heard });
  });

  it('a full Redis rejects what it cannot take', async () => {
    const waits = redisWaits(redis);
    const about = message();
    await waits.track(about);
    await redis.config('SET', 'maxmemory', '1');
    try {
      await assert.rejects(waits.track(message()), /OOM/);
      await assert.rejects(waits.note(hearing(about, 'presa-in-carico', luisa), at(1)), /OOM/);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
  });
});
