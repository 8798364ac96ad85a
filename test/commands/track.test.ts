// `pecd track` on a journal of its own, with a real Redis and without one
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openJournal } from '../../src/adapters/file-journal.ts';
import { connectRedis } from '../../src/adapters/redis-queue.ts';
import { redisWaits } from '../../src/adapters/redis-waits.ts';
import { UsageError } from '../../src/commands/exit-codes.ts';
import { track } from '../../src/commands/track.ts';
import { exampleYaml } from '../../src/config/reference.ts';
import type { Acceptance } from '../../src/pec/receipts.ts';
import { instant, type Mailbox, type Msgid, type PecMsgid } from '../../src/pec/values.ts';
import { owe, verdictOf } from '../../src/points/custody.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const at = instant(Date.UTC(2026, 2, 1, 12));
const sender = 'mario@pec.alfa.example' as Mailbox;
const luisa = 'luisa@pec.beta.example' as Mailbox;
const debt: Acceptance = {
  kind: 'accettazione',
  messageId: 'receipt1@pec.alfa.example',
  at,
  to: sender,
  about: {
    pecMsgid: 'opec1@pec.alfa.example' as PecMsgid,
    msgid: '<one@client.example>' as Msgid,
    sender,
    recipients: [{ address: luisa, kind: 'certificato' }],
    replyTo: sender,
    subject: 'Perché "no"',
  },
};
const { about } = debt;

let directory: string;
let redis: TestRedis;
let file: string;
before(async () => {
  [directory, redis] = await Promise.all([mkdtemp(join(tmpdir(), 'pecd-track-')), startRedis()]);
  file = join(directory, 'pecd.yaml');
  const yaml = exampleYaml().replace('redis://127.0.0.1:6379/0', redis.url);
  await writeFile(file, yaml.replace('/var/log/pecd', directory));

  await using journal = await openJournal(directory, { now: () => at });
  const { pecMsgid, msgid, subject = '' } = about;
  const line = { at, point: 'access', sender, recipients: [luisa], transaction: 't1' } as const;
  const { custody = assert.fail() } = verdictOf([{ recipient: luisa, code: 250, text: 'ok' }]);
  const of = { pecMsgid, ...(msgid && { msgid }), subject };
  await journal.write({ ...line, ...of, event: 'accepted', debts: [owe(debt, custody)] });
  const paid = `accettazione ${pecMsgid}`;
  await journal.write({ ...line, ...of, event: 'sent', point: 'worker', paid, reason: 'late' });

  const client = connectRedis(redis.url);
  await once(client, 'ready');
  const waits = redisWaits(client);
  await waits.track(about);
  await waits.note({ pecMsgid, heard: 'presa-in-carico', recipients: [luisa] }, at);
  await waits.track({ ...about, pecMsgid: 'elsewhere@pec.alfa.example' as PecMsgid });
  client.disconnect();
});
after(async () => {
  await redis[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const text = (state: string) => `opec1@pec.alfa.example
  msgid <one@client.example>
  from mario@pec.alfa.example
  subject "Perché \\"no\\""
  to luisa@pec.beta.example (certificato): ${state}
  2026-03-01T12:00:00Z access accepted; owed: accettazione
  2026-03-01T12:00:00Z worker sent; paid: accettazione; reason: "late"
`;
const TAKEN = 'taken in charge, presa-in-carico 2026-03-01T12:00:00Z';

for (const id of [
  'opec1@pec.alfa.example',
  '<opec1@pec.alfa.example>',
  'one@client.example',
  '<one@client.example>',
]) {
  test(`by ${id}`, async () => {
    assert.deepEqual(await track({ file, json: false, id }), {
      output: text(TAKEN),
      remarks: [],
      exitCode: 0,
    });
  });
}

test('as one JSON document', async () => {
  const { output, exitCode } = await track({ file, json: true, id: about.pecMsgid });
  assert.equal(exitCode, 0);
  const { messages } = JSON.parse(output);
  assert.equal(messages.length, 1);
  assert.deepEqual(messages[0].recipients, [
    {
      address: luisa,
      kind: 'certificato',
      state: 'taken in charge',
      heard: { 'presa-in-carico': '2026-03-01T12:00:00Z' },
    },
  ]);
  assert.deepEqual(
    messages[0].events.map(({ at, point, event }: Record<string, string>) => [at, point, event]),
    [
      ['2026-03-01T12:00:00Z', 'access', 'accepted'],
      ['2026-03-01T12:00:00Z', 'worker', 'sent'],
    ],
  );
});

test('a message of another node is known from Redis', async () => {
  const { output, exitCode } = await track({ file, json: false, id: 'elsewhere@pec.alfa.example' });
  assert.match(output, /to luisa@pec\.beta\.example \(certificato\): unknown\n$/);
  assert.equal(exitCode, 0);
});

test('an unknown identifier is one line and 1, what is none is bad usage', async () => {
  const id = 'nobody@pec.alfa.example';
  const remarks = [`${id}: no message is known by it`];
  assert.deepEqual(await track({ file, json: false, id }), { output: '', remarks, exitCode: 1 });
  assert.deepEqual(await track({ file, json: true, id }), {
    output: '{"messages":[]}\n',
    remarks,
    exitCode: 1,
  });
  await assert.rejects(
    track({ file, json: false, id: 'a b' }),
    new UsageError('a b: not an identifier of a message'),
  );
});

test('without Redis the journal is read, and both gaps are named', async () => {
  await redis.stop();
  try {
    await appendFile(join(directory, '2026-03-01.jsonl'), '{"at":"2026-');
    const { output, remarks, exitCode } = await track({ file, json: false, id: about.pecMsgid });
    assert.equal(output, text('accepted'));
    assert.deepEqual(remarks, [
      `${directory}/2026-03-01.jsonl:3: not a line of the journal`,
      `Redis at ${redis.url}: connection refused; only the journal was read`,
    ]);
    assert.equal(exitCode, 0);
  } finally {
    await redis.start();
  }
});
