// The debt book and its worker against a real Redis that is killed, frozen, filled and started again
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  checkDurable,
  connectRedis,
  type DebtWorker,
  openDebtBook,
  type RedisDebtBook,
  startWorker,
} from '../../src/adapters/redis-queue.ts';
import { type Acceptance, type Debt, debtKey, type Wait } from '../../src/pec/receipts.ts';
import { type Instant, instant, type Mailbox, type PecMsgid } from '../../src/pec/values.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const sender = 'mario@pec.alfa.example' as Mailbox;

function debt(n: number): Acceptance {
  return {
    kind: 'accettazione',
    messageId: `receipt${n}@pec.alfa.example`,
    at: instant(Date.UTC(2026, 2, 1)),
    to: sender,
    about: {
      pecMsgid: `opec${n}@pec.alfa.example` as PecMsgid,
      sender,
      recipients: [],
      replyTo: sender,
      subject: 'Perché: no?',
    },
  };
}

/** Due in so many milliseconds. */
function notice(n: number, inMs: number): Wait {
  const { to, about } = debt(n);
  return { kind: 'attesa', notice: 'first', due: (Date.now() + inMs) as Instant, to, about };
}

/** Resolves when `condition` holds; fails after ten seconds. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) assert.fail(`not in time: ${what}`);
    await wait(5);
  }
}

let server: TestRedis;
let redis: Redis;
let book: RedisDebtBook;
let paid: Debt[];
let told: string[];
let worker: DebtWorker | undefined;

beforeEach(async () => {
  // Under load everysec may put off the writing itself: what a kill leaves then is the journal's to mend.
  server = await startRedis({ appendfsync: 'always' });
  redis = connectRedis(server.url);
  await once(redis, 'ready');
  book = openDebtBook(redis, { attempts: 3 });
  paid = [];
  told = [];
  worker = undefined;
});
afterEach(async () => {
  worker?.abort();
  await book[Symbol.asyncDispose]();
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

/** A worker with a short lease and short pauses; `trouble` throws to make a payment fail. */
function start(trouble: (debt: Debt, attempt: number) => unknown = () => {}, url = server.url): DebtWorker {
  const attempts = new Map<string, number>();
  worker = startWorker(
    url,
    async one => {
      const attempt = (attempts.get(debtKey(one)) ?? 0) + 1;
      attempts.set(debtKey(one), attempt);
      await trouble(one, attempt);
      paid.push(one);
    },
    { concurrency: 4, lease: 200, firstPause: 10, longestPause: 40 },
    {
      receiptFailed: (kind, attempt, error) => told.push(`${kind} ${attempt} ${(error as Error).message}`),
      trouble: (where, error) => told.push(`${where}: ${(error as Error).message}`),
    },
  );
  return worker;
}

async function restart(): Promise<void> {
  await server.start();
  await until('it answers', answers);
}

const answers = () =>
  redis.ping().then(
    () => true,
    () => false,
  );
const numbers = (debts: readonly Debt[]) =>
  debts.map(({ about }) => Number(/\d+/.exec(about.pecMsgid)?.[0])).sort();
const owed = async () => (await book.list('owed')).length;

describe('book', () => {
  it('a debt is paid as it was booked', async () => {
    start();
    await book.book([debt(1)]);
    await until('paid', () => paid.length === 1);
    assert.deepEqual(paid, [debt(1)]);
  });

  it('who keeps something for a debt hears once Redis has it that it is paid', async () => {
    const settled: Debt[] = [];
    await using _ = startWorker(
      server.url,
      async () => {},
      { concurrency: 1, queue: 'settled', paid: async debt => void settled.push(debt) },
      { receiptFailed: assert.fail, trouble: assert.fail },
    );
    await using own = openDebtBook(redis, { queue: 'settled' });
    await own.book([debt(1)]);
    await until('told', () => settled.length === 1);
    assert.deepEqual([settled, await own.list('owed')], [[debt(1)], []]);
  });

  it('a debt booked twice is paid once, and not again once paid', async () => {
    await book.book([debt(1), debt(1)]);
    await book.book([debt(1), { ...debt(1), messageId: 'another@pec.alfa.example' }]);
    assert.equal(await owed(), 1);
    start();
    await until('nothing is owed', async () => (await owed()) === 0);
    await book.book([debt(1), debt(2)]);
    await until('the second is paid', () => paid.length === 2);
    await until('nothing is owed', async () => (await owed()) === 0);
    assert.deepEqual(numbers(paid), [1, 2]);
  });

  it('a paid debt is remembered for as long as it was said', async () => {
    const forgetful = openDebtBook(redis, { queue: 'forgetful', remember: 0 });
    await forgetful.book([debt(1)]);
    const quick = startWorker(
      server.url,
      async one => void paid.push(one),
      { concurrency: 1, queue: 'forgetful' },
      { receiptFailed: assert.fail, trouble: assert.fail },
    );
    await until('paid', async () => paid.length === 1 && (await forgetful.list('owed')).length === 0);
    await forgetful.book([debt(1)]);
    await until('paid again', () => paid.length === 2);
    await quick[Symbol.asyncDispose]();
    await forgetful[Symbol.asyncDispose]();
  });

  it('queues of several nodes in one Redis do not touch', async () => {
    const other = openDebtBook(redis, { queue: 'other-node' });
    await other.book([debt(1)]);
    await book.book([debt(2)]);
    start();
    await until('paid', () => paid.length === 1);
    assert.deepEqual(numbers(paid), [2]);
    assert.equal((await other.list('owed')).length, 1);
    await other[Symbol.asyncDispose]();
  });
});

describe('a wait', () => {
  it('is owed from the beginning, and paid when it falls due, not before', async () => {
    await book.book([notice(5, 3_600_000)]);
    assert.equal(await owed(), 1);
    const times = new Map<Debt, number>();
    start(one => void times.set(one, Date.now()));
    await book.book([notice(1, 300), notice(2, 100), notice(3, -1000), debt(4)]);
    await until('all are paid', () => paid.length === 4);
    for (const [one, time] of times) if (one.kind === 'attesa') assert.ok(time >= one.due, debtKey(one));
    assert.deepEqual(numbers(paid), [1, 2, 3, 4]);
    await until('only the one is owed', async () => (await owed()) === 1);
  });

  it('booked again, though for another time, is paid once, when it was due first', async () => {
    const first = notice(1, 100);
    await book.book([first]);
    await book.book([notice(1, 60_000), notice(1, 0)]);
    start();
    await until('paid', () => paid.length === 1);
    await until('nothing is owed', async () => (await owed()) === 0);
    assert.deepEqual(paid, [first]);
  });

  it('outlives a Redis that is killed, also when it falls due meanwhile', async () => {
    const [soon, later] = [notice(1, 50), notice(2, 800)];
    await book.book([soon, later]);
    await server.kill();
    await until('the first is due', () => Date.now() > soon.due);
    await restart();
    start();
    await until('both are paid', () => paid.length === 2);
    assert.deepEqual(numbers(paid), [1, 2]);
    assert.ok(Date.now() >= later.due);
  });

  it('that fails is told, and tried again, like any other debt', async () => {
    start((_, attempt) => {
      if (attempt === 1) throw new Error('Redis is away');
    });
    await book.book([notice(1, 10)]);
    await until('paid', () => paid.length === 1);
    assert.deepEqual(told, ['attesa 1 Redis is away']);
  });
});

describe('a Redis that is away', () => {
  it('ready and book reject before a first connection', async () => {
    const early = connectRedis(server.url);
    const other = openDebtBook(early);
    await assert.rejects(other.ready());
    await assert.rejects(other.book([debt(1)]), { message: 'Redis is away' });
    await once(early, 'ready');
    await other.book([debt(1)]);
    await other[Symbol.asyncDispose]();
    early.disconnect();
  });

  it('ready and book reject once it is killed, and do again what they should when it is back', async () => {
    await book.ready();
    await server.kill();
    await assert.rejects(book.ready());
    await assert.rejects(book.book([debt(1)]));
    await restart();
    await book.ready();
    await book.book([debt(1)]);
    assert.equal(await owed(), 1);
  });

  it('a frozen one is away after two seconds; what it took all the same is booked once', async () => {
    server.freeze();
    await Promise.all([
      assert.rejects(book.ready(), /timed out/),
      assert.rejects(book.book([debt(1)]), /timed out/),
      assert.rejects(book.book([debt(1)]), /timed out/),
    ]);
    server.thaw();
    await until('it answers', answers);
    await book.book([debt(1)]);
    assert.equal(await owed(), 1);
  });

  it('a full one cannot take a debt: ready says so, though PING is answered', async () => {
    await redis.config('SET', 'maxmemory', '1');
    assert.equal(await redis.ping(), 'PONG');
    await assert.rejects(book.ready(), /OOM/);
    await assert.rejects(book.book([debt(1)]), /OOM/);
    await redis.config('SET', 'maxmemory', '0');
    await book.ready();
  });

  it('kill -9 loses no debt that was booked; the worker goes on when it is back', async () => {
    start();
    await book.book([debt(1)]);
    await until('the first is paid', async () => (await owed()) === 0);
    const gate = Promise.withResolvers<void>();
    worker?.abort();
    await book.book(Array.from({ length: 50 }, (_, n) => debt(n + 2)));
    start(() => gate.promise);
    await until('some are being paid', async () => (await book.list('owed')).length === 50);
    await server.kill();
    gate.resolve();
    await restart();
    await book.book([debt(100)]);
    await until('nothing is owed', async () => (await owed()) === 0);
    assert.deepEqual([...new Set(numbers(paid))].length, 52);
  });

  it('a debt whose worker died is paid by the next one, however often that happens', async () => {
    await book.book([debt(1)]);
    for (let life = 1; life <= 2; life++) {
      const held = Promise.withResolvers<void>();
      const dying = start(() => {
        held.resolve();
        return new Promise(() => {});
      });
      await held.promise;
      dying.abort();
    }
    start();
    await until('paid', () => paid.length === 1);
    assert.deepEqual(await book.list('failed'), []);
  });
});

describe('a payment that fails', () => {
  it('is tried again, with longer pauses up to the longest', async () => {
    const times: number[] = [];
    const patient = openDebtBook(redis, { attempts: 6 });
    await patient.book([debt(1)]);
    start((_, attempt) => {
      times.push(Date.now());
      if (attempt < 5) throw new Error('the MTA is away');
    });
    await until('paid', () => paid.length === 1);
    await until('nothing is owed', async () => (await owed()) === 0);
    const pauses = times.slice(1).map((time, n) => time - (times[n] ?? 0));
    for (const [n, least] of [10, 20, 40, 40].entries()) {
      assert.ok((pauses[n] ?? 0) >= least, `pause ${n + 1} of ${pauses}`);
    }
    assert.deepEqual(
      told,
      [1, 2, 3, 4].map(n => `accettazione ${n} the MTA is away`),
    );
    await patient[Symbol.asyncDispose]();
  });

  it('too often stays visible, is not booked anew, and can be tried again by hand', async () => {
    let broken = true;
    start(() => {
      if (broken) throw new Error('no');
    });
    await book.book([debt(1)]);
    await until('given up', () => told.some(each => each.startsWith('debt-given-up')));
    const [failed] = await book.list('failed');
    assert.ok(failed !== undefined);
    assert.deepEqual(
      { ...failed, id: '', due: 0 },
      { id: '', due: 0, debt: debt(1), attempts: 3, why: 'no' },
    );
    assert.match(failed.id, /^[0-9a-f]{64}$/);
    await book.book([debt(1)]);
    assert.equal(await owed(), 0);

    broken = false;
    await book.retry(failed.id);
    await until('paid', async () => paid.length === 1 && (await owed()) === 0);
    assert.deepEqual(await book.list('failed'), []);
    await assert.rejects(book.retry(failed.id));
    await assert.rejects(book.retry('nothing'), { message: 'no debt with the id nothing' });
  });

  it('with an Unpayable is given up at once', async () => {
    start(() => {
      throw Object.assign(new Error('the original is gone'), { name: 'Unpayable' });
    });
    await book.book([debt(1)]);
    await until('given up', () => told.some(each => each.startsWith('debt-given-up')));
    assert.deepEqual(
      (await book.list('failed')).map(({ why, attempts }) => ({ why, attempts })),
      [{ why: 'the original is gone', attempts: 1 }],
    );
  });

  it('with something that is no Error is tried again as well', async () => {
    start((_, attempt) => {
      if (attempt === 1) throw 'text';
    });
    await book.book([debt(1)]);
    await until('paid', () => paid.length === 1);
    assert.deepEqual(told, ['accettazione 1 text']);
  });
});

describe('stopping the worker', () => {
  it('disposing lets every payment that began finish, and records it', async () => {
    const gate = Promise.withResolvers<void>();
    const begun: Debt[] = [];
    const stopping = start(one => {
      begun.push(one);
      return gate.promise;
    });
    await book.book([debt(1)]);
    await until('being paid', () => begun.length === 1);
    const stopped = stopping[Symbol.asyncDispose]();
    await book.book([debt(2)]);
    gate.resolve();
    await stopped;
    assert.deepEqual(numbers(paid), numbers(begun));
    assert.equal(await owed(), 2 - begun.length);
  });

  it('abort ends a disposal that waits for a payment; the debt stays owed', async () => {
    const begun = Promise.withResolvers<void>();
    const stopping = start(() => {
      begun.resolve();
      return new Promise(() => {});
    });
    await book.book([debt(1)]);
    await begun.promise;
    const stopped = stopping[Symbol.asyncDispose]();
    stopping.abort();
    await stopped;
    assert.equal(await owed(), 1);
  });

  it('disposing does not wait for a Redis that is away, be it in a payment or idle or never reached', async () => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const paying = start(() => {
      begun.resolve();
      return gate.promise;
    });
    await book.book([debt(1)]);
    await begun.promise;
    await server.kill();
    const never = start();
    const stopped = Promise.all([paying[Symbol.asyncDispose](), never[Symbol.asyncDispose]()]);
    gate.resolve();
    await stopped;
    assert.deepEqual(numbers(paid), [1]);
    await restart();
    const idle = start();
    await until('paid again', () => paid.length === 2);
    await until('nothing is owed', async () => (await owed()) === 0);
    await server.kill();
    await idle[Symbol.asyncDispose]();
    await restart();
  });
});

describe('connecting', () => {
  it('by a unix socket, with the number of a database', async () => {
    const one = connectRedis(`${server.socketUrl}?db=1`);
    await once(one, 'ready');
    await one.set('name', 'one');
    assert.equal(await redis.get('name'), null);
    await redis.select(1);
    assert.equal(await redis.get('name'), 'one');
    one.disconnect();
  });

  it('a worker by a unix socket', async () => {
    start(() => {}, server.socketUrl);
    await book.book([debt(1)]);
    await until('paid', () => paid.length === 1);
  });
});

describe('checkDurable', () => {
  const strict = { allowVolatile: false };

  it('accepts an append-only file with nothing evicted, though CONFIG is forbidden', async () => {
    await redis.call('ACL', 'SETUSER', 'default', '-config');
    await checkDurable(redis, strict);
  });

  for (const { name, value, message } of [
    { name: 'appendonly', value: 'no', message: 'this Redis forgets: it needs appendonly yes' },
    {
      name: 'maxmemory-policy',
      value: 'allkeys-lru',
      message: 'this Redis forgets: it needs maxmemory-policy noeviction, not allkeys-lru',
    },
  ]) {
    it(`refuses ${name} ${value}, unless that is allowed`, async () => {
      await redis.config('SET', name, value);
      await assert.rejects(checkDurable(redis, strict), { message });
      await checkDurable(redis, { allowVolatile: true });
    });
  }
});
