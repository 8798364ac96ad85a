// `pecd mailbox` against a real Redis
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { UsageError } from '../../src/commands/exit-codes.ts';
import { changeMailbox, listMailboxes } from '../../src/commands/mailbox.ts';
import { exampleYaml } from '../../src/config/reference.ts';
import { startRedis, type TestRedis } from '../redis.ts';

let directory: string;
let redis: TestRedis;
let file: string;
before(async () => {
  [directory, redis] = await Promise.all([mkdtemp(join(tmpdir(), 'pecd-mailbox-')), startRedis()]);
  file = await configure('pecd.yaml', redis.url);
});
after(async () => {
  await redis[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function configure(name: string, url: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, exampleYaml().replace('redis://127.0.0.1:6379/0', url));
  return path;
}

const change = (verb: 'show' | 'open' | 'close', address: string) =>
  changeMailbox(verb, { file, json: false, address });

test('a mailbox is closed unless opened, and the choice is listed', async () => {
  assert.equal(await listMailboxes({ file, json: false }), '');
  assert.equal(await listMailboxes({ file, json: true }), '[]\n');
  assert.equal(await change('show', 'anna@pec.alfa.example'), 'closed anna@pec.alfa.example\n');
  assert.equal(await change('open', 'Anna@PEC.alfa.example'), 'open   Anna@pec.alfa.example\n');
  assert.equal(await change('show', 'anna@pec.alfa.example'), 'open   anna@pec.alfa.example\n');
  const bruno = { file, json: true, address: 'bruno@pec.alfa.example' };
  assert.equal(await changeMailbox('close', bruno), '{"mailbox":"bruno@pec.alfa.example","open":false}\n');
  assert.equal(
    await listMailboxes({ file, json: false }),
    'open   anna@pec.alfa.example\nclosed bruno@pec.alfa.example\n',
  );
  assert.deepEqual(JSON.parse(await listMailboxes({ file, json: true })), [
    { mailbox: 'anna@pec.alfa.example', open: true },
    { mailbox: 'bruno@pec.alfa.example', open: false },
  ]);
});

test('the default is that of the incoming point', async () => {
  await writeFile(
    file,
    exampleYaml().replace('redis://127.0.0.1:6379/0', redis.url).replace(': reject', ': accept'),
  );
  assert.equal(await change('show', 'carla@pec.alfa.example'), 'open   carla@pec.alfa.example\n');
});

test('mailboxes that are none of ours are bad usage', async () => {
  await assert.rejects(
    change('open', 'anna@example.org'),
    new UsageError('anna@example.org: not in one of our domains (pec.alfa.example)'),
  );
  await assert.rejects(change('open', 'anna'), new UsageError('anna: not a mailbox'));
});

test('a Redis that wants another password, is silent, or is away, is unreachable, and the password is not shown', async () => {
  await using guarded = await startRedis();
  const { port } = new URL(guarded.url);
  const client = new Redis(guarded.url);
  await client.config('SET', 'requirepass', 'another');
  client.disconnect();
  const away = await configure('away.yaml', `redis://:secret@127.0.0.1:${port}/0`);
  const where = `Redis at redis://127.0.0.1:${port}/0: `;
  const list = () => listMailboxes({ file: away, json: false });

  await assert.rejects(
    list(),
    ({ exitCode, message }) => exitCode === 69 && message.startsWith(`${where}WRONGPASS`),
  );
  guarded.freeze();
  await assert.rejects(list(), { exitCode: 69 });
  guarded.thaw();
  await guarded.stop();
  await assert.rejects(list(), { exitCode: 69, message: `${where}connection refused` });
});
