// `pecd queue` against a real Redis
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { connectRedis, openDebtBook, startWorker } from '../../src/adapters/redis-queue.ts';
import { UsageError } from '../../src/commands/exit-codes.ts';
import { listDebts, retryDebt } from '../../src/commands/queue.ts';
import { exampleYaml } from '../../src/config/reference.ts';
import { until } from '../../src/demo/processes.ts';
import type { MessageFacts } from '../../src/pec/receipts.ts';
import { instant, parseMailbox, parsePecMsgid } from '../../src/pec/values.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const anna = parseMailbox('anna@pec.alfa.example') ?? assert.fail();
const about: MessageFacts = {
  pecMsgid: parsePecMsgid('x1@pec.alfa.example') ?? assert.fail(),
  sender: anna,
  recipients: [],
  replyTo: '',
};
const due = instant(Date.UTC(2100, 0, 1));

let directory: string;
let redis: TestRedis;
let file: string;
before(async () => {
  [directory, redis] = await Promise.all([mkdtemp(join(tmpdir(), 'pecd-queue-')), startRedis()]);
  file = join(directory, 'pecd.yaml');
  await writeFile(file, exampleYaml().replace('redis://127.0.0.1:6379/0', redis.url));
  const client = connectRedis(redis.url);
  await new Promise(ready => client.once('ready', ready));
  await using book = openDebtBook(client);
  const acceptance = {
    kind: 'accettazione',
    messageId: 'r1@pec.alfa.example',
    at: instant(0),
    to: anna,
    about,
  } as const;
  await book.book([acceptance, { kind: 'attesa', notice: 'first', due, to: anna, about }]);
  const unpayable = Object.assign(new Error('the MTA said no'), { name: 'Unpayable' });
  await using _ = startWorker(
    redis.url,
    () => Promise.reject(unpayable),
    { concurrency: 1 },
    {
      receiptFailed() {},
      trouble() {},
    },
  );
  await until('the acceptance to fail', 10_000, async () => (await book.list('failed')).length === 1);
  client.disconnect();
});
after(async () => {
  await redis[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test('what is owed, and when', async () => {
  const [wait, ...more] = JSON.parse(await listDebts('owed', { file, json: true }));
  assert.deepEqual(
    [wait.kind, wait.due, wait.to, wait.attempts, more],
    ['attesa', '2100-01-01T00:00:00Z', anna, 0, []],
  );
  assert.match(
    await listDebts('owed', { file, json: false }),
    /2100-01-01T00:00:00Z attesa for anna@.* about x1@/,
  );
});

test('what failed and why; tried again, it is owed again', async () => {
  const main = join(import.meta.dirname, '../../src/main.ts');
  const run = async (...args: string[]) =>
    (await promisify(execFile)(process.execPath, [main, 'queue', ...args, '-c', file])).stdout;
  assert.match(await run('failed'), /accettazione for anna@.* tried 1 times: the MTA said no/);
  const [failed] = JSON.parse(await listDebts('failed', { file, json: true }));
  assert.equal(await run('retry', failed.id), `${failed.id} will be tried again\n`);
  assert.equal(await run('failed'), '');
  assert.equal((await run()).trim().split('\n').length, 2);
  await assert.rejects(retryDebt('nothing', { file, json: false }), UsageError);
});
