// The commit gate against a real Postfix: it never sees a final dot that was not earned, and nothing acknowledged is lost.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { daemonOf } from '../../src/demo/provider.ts';
import { ANNA, inData, message, submit } from './submission.ts';

const PATIENCE = 60_000;
let network: Network;
let arrived: ReturnType<typeof newMail>;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-gate'));
  network = stack.use(await startNetwork(folder.path));
  arrived = newMail(network.mailboxes);
});

/** What Postfix logged since the call. */
async function listening(): Promise<() => Promise<string>> {
  const file = network.alfa.postfix.program.log;
  const before = (await readFile(file, 'utf8')).length;
  return async () => (await readFile(file, 'utf8')).slice(before);
}

async function cutBeforeTheDot(log: () => Promise<string>): Promise<void> {
  await until('Postfix to see the connection cut', PATIENCE, async () =>
    /lost connection after DATA/.test(await log()),
  );
  assert.doesNotMatch(await log(), /queued as|from=<|to=</, 'Postfix took the message');
}

/** The kinds of Anna's messages, once there are so many. */
async function kindsFor(mailbox: string, count: number): Promise<readonly string[]> {
  const kinds: string[] = [];
  await until(`${count} messages for ${mailbox}`, PATIENCE, async () => {
    for (const one of await arrived()) if (one.mailbox === mailbox) kinds.push(one.kind);
    return kinds.length >= count;
  });
  return kinds.sort();
}

test('a client that vanishes in DATA', async () => {
  const log = await listening();
  const { socket } = await inData(network);
  // Enough for Postfix to have seen the beginning of it.
  socket.write(message + 'x'.repeat(70).concat('\r\n').repeat(5_000));
  await until('Postfix to be in DATA', PATIENCE, async () => /connect from/.test(await log()));
  socket.destroy();
  await cutBeforeTheDot(log);
});

test('a verdict that only the last line shows', async () => {
  const log = await listening();
  const { socket, say } = await inData(network);
  socket.write(message + 'x'.repeat(70).concat('\r\n').repeat(5_000));
  assert.match(await say('bare\nlf\r\n.'), /^550 5\.6\.0 .*bare LF/);
  await cutBeforeTheDot(log);
  socket.destroy();
});

test('a Redis that is dead before the dot: 451, and the next attempt is taken', async () => {
  const log = await listening();
  await network.redis.kill();
  await assert.rejects(submit(network, message), /451 4\.3\.0/);
  await cutBeforeTheDot(log);
  await network.redis.start();
  await until('Redis to be noticed', PATIENCE, () =>
    submit(network, message).then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual(await kindsFor(ANNA, 2), ['accettazione', 'avvenuta-consegna']);
});

test('a Redis that dies between the MTA’s 250 and ours: our 250, and every receipt once it is back', async () => {
  const { alfa } = network;
  await using relay = await watchedRelay(alfa.plan.ports.relay, () => network.redis.kill());
  await alfa.daemon.stop();
  const settings = parse(await readFile(alfa.configuration, 'utf8'));
  settings.access.relay = `smtp://127.0.0.1:${relay.port}`;
  const configuration = join(alfa.plan.folder, 'watched.yaml');
  await writeFile(configuration, stringify(settings));
  await using daemon = daemonOf('Alfa, watched', configuration, join(alfa.plan.folder, 'watched.log'));
  await daemon.start();

  assert.match(await submit(network, message.replace('client-1', 'client-2')), /^250 2\.0\.0 Ok: pec/);
  assert.equal(network.redis.pid, undefined, 'Redis is dead when the client hears 250');
  await network.redis.start();
  assert.deepEqual(await kindsFor(ANNA, 2), ['accettazione', 'avvenuta-consegna']);
});

/** Passes all on, but waits for `before` once the server acknowledged a final dot. */
async function watchedRelay(
  port: number,
  before: () => Promise<void>,
): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const mta = connect(port, '127.0.0.1');
    for (const socket of [client, mta]) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          client.destroy();
          mta.destroy();
        });
    }
    client.pipe(mta);
    mta.on('data', async chunk => {
      mta.pause();
      if (chunk.includes('queued as')) await before();
      client.write(chunk);
      mta.resume();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
