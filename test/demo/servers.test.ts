// The private servers of the demo: they deliver, survive a crash, and leave nothing behind
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { createTransport } from 'nodemailer';
import { maildirOf, startDovecot } from '../../src/demo/dovecot.ts';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { messagesIn } from '../../src/demo/mailboxes.ts';
import { freePort } from '../../src/demo/ports.ts';
import { startPostfix } from '../../src/demo/postfix.ts';
import { until } from '../../src/demo/processes.ts';
import { startRedis } from '../../src/demo/redis.ts';
import { sinkMaildirOf, startSink } from '../../src/demo/sink.ts';

const ANNA = 'anna@pec.alfa.example';
const MARIO = 'mario@ordinary.example';
const PATIENCE = 20_000;

/** Ids of the processes that work below the folder: Postfix, Dovecot and Redis all do. */
async function workersIn(folder: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const where = await Promise.all(ids.map(id => readlink(`/proc/${id}/cwd`).catch(() => '')));
  return ids.filter((_, index) => where[index]?.startsWith(folder));
}

test('Postfix, Dovecot and the sink: mail gets where it should, through a crash as well', async t => {
  let path: string;
  {
    await using folder = await temporaryFolder('pecd-mail');
    path = folder.path;
    const [relay, lmtp, imap, auth, outside, clear] = (await Promise.all(
      Array.from({ length: 6 }, freePort),
    )) as [...[number, number, number, number, number, number]];
    const [dovecotFolder, postfixFolder, sinkFolder] = ['dovecot', 'postfix', 'sink'].map(name =>
      join(folder.path, name),
    ) as [string, string, string];
    await using dovecot = await startDovecot({
      folder: dovecotFolder,
      accounts: [{ address: ANNA, password: 'secret' }],
      ports: { lmtp, imap, auth },
    });
    await using _ordinary = await startSink({
      folder: sinkFolder,
      port: outside,
      domain: 'ordinary.example',
    });
    await using _beta = await startSink({ folder: sinkFolder, port: clear, domain: 'pec.beta.example' });
    await using postfix = await startPostfix({
      folder: postfixFolder,
      hostname: 'mx.pec.alfa.example',
      domains: ['pec.alfa.example'],
      port: relay,
      delivery: lmtp,
      auth,
      routes: [
        { domain: 'ordinary.example', port: outside, tls: 'none' },
        { domain: 'pec.beta.example', port: clear, tls: 'required' },
      ],
    });
    const send = (to: readonly string[], login?: { user: string; pass: string }) =>
      createTransport({ host: '127.0.0.1', port: relay, ...(login && { auth: login }) }).sendMail({
        ...{ from: ANNA, to: [...to], subject: 'hello', text: 'body' },
      });
    const annas = maildirOf(dovecotFolder, ANNA);
    const marios = sinkMaildirOf(sinkFolder, MARIO);
    const have = async (maildir: string, count: number) => (await messagesIn(maildir)).length === count;

    await t.test('each recipient has it, and it is what was sent', async () => {
      await send([ANNA, MARIO], { user: ANNA, pass: 'secret' });
      for (const maildir of [annas, marios]) {
        await until('mail', PATIENCE, () => have(maildir, 1));
        const [file = ''] = await messagesIn(maildir);
        assert.match(await readFile(file, 'utf8'), /\r?\nSubject: hello\r?\n(?:.*\r?\n)*\r?\nbody\r?\n$/);
      }
    });
    await t.test('a wrong password does not get in', async () => {
      await assert.rejects(send([ANNA], { user: ANNA, pass: 'guess' }), { responseCode: 535 });
    });
    await t.test('nothing goes to another provider in clear', async () => {
      await send(['bruno@pec.beta.example']);
      const log = join(postfixFolder, 'postfix.log');
      await until('the refusal', PATIENCE, async () =>
        (await readFile(log, 'utf8')).includes('TLS is required, but was not offered by host'),
      );
    });
    await t.test('what Postfix took outlives it, and waits for Dovecot', async () => {
      await dovecot.kill();
      await send([ANNA]);
      await postfix.kill();
      assert.ok(await have(annas, 1));
      await dovecot.start();
      await postfix.start();
      const flush = promisify(execFile);
      await until('mail', PATIENCE, async () => {
        await flush('postqueue', ['-c', join(postfixFolder, 'etc'), '-f']);
        return have(annas, 2);
      });
    });
    assert.ok((await workersIn(path)).length > 5);
  }
  assert.deepEqual(await workersIn(path), []);
  assert.ok(!existsSync(path));
});

test('Redis: what was written outlives a crash', async () => {
  let path: string;
  {
    await using folder = await temporaryFolder('pecd-redis');
    path = folder.path;
    const port = await freePort();
    await using redis = await startRedis({ folder: join(folder.path, 'redis'), port });
    const client = new Redis({ host: '127.0.0.1', port, db: 1 });
    client.on('error', () => {});
    await client.set('owed', 'a receipt');
    await redis.kill();
    await redis.start();
    assert.equal(await client.get('owed'), 'a receipt');
    client.disconnect();
    assert.equal((await workersIn(path)).length, 1);
  }
  assert.deepEqual(await workersIn(path), []);
  assert.ok(!existsSync(path));
});
