// `pecd run` on a machine where something is wrong: one clear line, the exit code that systemd acts on, and no trace of a start.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { type Installation, install } from '../commands/installation.ts';
import { startRedis, type TestRedis } from '../redis.ts';

let home: Installation;
let redis: TestRedis;
before(async () => {
  [home, redis] = await Promise.all([install(), startRedis()]);
});
after(async () => {
  await Promise.all([home[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
});

/** Runs the daemon until it ends by itself, or says that it is ready and is asked to end. */
async function run(configuration: string): Promise<{ code: number | null; said: string; ready: boolean }> {
  const main = join(import.meta.dirname, '../../src/main.ts');
  const daemon = spawn(process.execPath, [main, 'run', '-c', configuration], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let ready = false;
  daemon.stdout.on('data', (chunk: Buffer) => {
    if (!chunk.includes('"event":"ready"')) return;
    ready = true;
    daemon.kill('SIGTERM');
  });
  const [said, [code]] = await Promise.all([text(daemon.stderr), once(daemon, 'exit')]);
  return { code, said: said.replaceAll(home.directory, 'DIR').trim(), ready };
}

/** A configuration that would start, with `replace` done to it. */
async function configured(name: string, replace: (yaml: string) => string, sections = ''): Promise<string> {
  const file = await home.configure(name, `redis: {url: '${redis.url}'}\n${sections}`);
  await writeFile(file, replace(await readFile(file, 'utf8')));
  return file;
}

test('all is well: ready, and SIGTERM ends it with 0', async () => {
  const { code, said, ready } = await run(await configured('good.yaml', yaml => yaml));
  assert.deepEqual([code, said, ready], [0, '', true]);
});

const wrong: [string, (yaml: string) => string, number, RegExp][] = [
  [
    'a key that does not match its certificate',
    yaml => yaml.replace('signing.key', 'other.key'),
    78,
    /^pecd: signing: the key does not belong to the first certificate$/,
  ],
  [
    'a key that is not there',
    yaml => yaml.replace('signing.key', 'no.key'),
    78,
    /^pecd: signing: DIR\/no\.key: no such file/,
  ],
  [
    'a key that is none',
    yaml => yaml.replace('signing.key', 'directory.ldif'),
    78,
    /^pecd: signing: the key .*$/,
  ],
  [
    'a certificate without provider.address',
    yaml => yaml.replaceAll('signing.', 'other.'),
    78,
    /^pecd: provider\.address: posta-certificata@pec\.alfa\.example is not in the certificate, which names somebody@/,
  ],
  [
    'no anchors',
    yaml => yaml.replace('root.crt', 'directory.ldif'),
    78,
    /^pecd: trust: trust anchors .*no certificate/,
  ],
  [
    'no directory',
    yaml => yaml.replace('directory.ldif', 'none.ldif'),
    78,
    /^pecd: trust: provider directory /,
  ],
  [
    'an unknown key in the configuration',
    yaml => `${yaml}spoool: /x\n`,
    78,
    /^DIR\/.*\.yaml:\d+: spoool: unknown key/,
  ],
  [
    'a Redis that is away',
    yaml => yaml.replace(redis.url, 'redis://127.0.0.1:1'),
    69,
    /^pecd: redis: connection refused$/,
  ],
];
for (const [name, replace, exit, line] of wrong)
  test(name, async () => {
    const { code, said, ready } = await run(await configured(`${name.replaceAll(' ', '-')}.yaml`, replace));
    assert.match(said, line);
    assert.deepEqual([code, said.split('\n').length, ready], [exit, 1, false]);
  });

test('a Redis that forgets', async () => {
  await using forgetful = await startRedis({ appendonly: 'no' });
  const { code, said } = await run(
    await configured('forgetful.yaml', yaml => yaml.replace(redis.url, forgetful.url)),
  );
  assert.deepEqual([code, said], [78, 'pecd: redis: this Redis forgets: it needs appendonly yes']);
});

test('a port in use', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  try {
    const address = holder.address();
    assert.ok(typeof address === 'object' && address !== null);
    const delivery = `delivery: {listen: [{address: 127.0.0.1, port: ${address.port}}]}`;
    const { code, said } = await run(await configured('port.yaml', yaml => yaml, delivery));
    assert.match(
      said,
      /^pecd: delivery: Cannot listen on 127\.0\.0\.1:\d+: the port is in use: stop the program/,
    );
    assert.deepEqual([code, said.split('\n').length], [69, 1]);
  } finally {
    holder.close();
  }
});
