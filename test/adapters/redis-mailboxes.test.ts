// Open and closed mailboxes in a real Redis
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import type { Redis } from 'ioredis';
import { redisMailboxes } from '../../src/adapters/redis-mailboxes.ts';
import { connectRedis } from '../../src/adapters/redis-queue.ts';
import type { Mailbox } from '../../src/pec/values.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const mario = 'Mario.Rossi@pec.alfa.example' as Mailbox;
const luisa = 'luisa@pec.alfa.example' as Mailbox;

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

describe('redisMailboxes', () => {
  for (const [byDefault, open] of [
    ['accept', true],
    ['reject', false],
  ] as const) {
    it(`${byDefault}: a mailbox without a choice is ${open ? 'open' : 'closed'}`, async () => {
      assert.equal(await redisMailboxes(redis, byDefault).isOpen(luisa), open);
    });
  }

  it('a choice is in force at once, on every node, in any spelling', async () => {
    const here = redisMailboxes(redis, 'reject');
    const there = redisMailboxes(other, 'accept');
    await here.open(mario);
    assert.equal(await there.isOpen('mario.rossi@pec.alfa.example' as Mailbox), true);
    await there.close('MARIO.ROSSI@pec.alfa.example' as Mailbox);
    assert.equal(await here.isOpen(mario), false);
    assert.equal(await there.isOpen(mario), false);
  });

  it('lists the choices, whatever the default', async () => {
    const mailboxes = redisMailboxes(redis, 'accept');
    await mailboxes.open(mario);
    await mailboxes.close(luisa);
    assert.deepEqual(await mailboxes.list(), [
      { mailbox: 'luisa@pec.alfa.example', open: false },
      { mailbox: 'mario.rossi@pec.alfa.example', open: true },
    ]);
  });

  it('a choice outlives a Redis that is killed; while it is away every question rejects', async () => {
    const mailboxes = redisMailboxes(redis, 'reject');
    await mailboxes.open(mario);
    await server.kill();
    await assert.rejects(mailboxes.isOpen(mario));
    // Not events.once: it would reject at the first attempt that is refused.
    const back = new Promise<void>(resolve => redis.once('ready', () => resolve()));
    await server.start();
    await back;
    assert.equal(await mailboxes.isOpen(mario), true);
  });
});
