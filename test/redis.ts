// A real redis-server of a test's own: loopback, a directory of its own, append-only; it can be killed and started again
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export interface TestRedis extends AsyncDisposable {
  /** redis://127.0.0.1:PORT/0 */
  readonly url: string;
  /** unix:///DIRECTORY/redis.sock */
  readonly socketUrl: string;
  /** SIGKILL: what was acknowledged is in its file. */
  kill(): Promise<void>;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay, nothing answers, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port with the same data, and waits until it answers. */
  start(): Promise<void>;
}

/** Starts a server with `settings` (redis.conf names) on top of `appendonly yes`. Disposing stops it and removes its data. */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'pecd-redis-'));
  let port = 0;
  let server: ChildProcess | undefined;

  const start = async () => {
    const config = {
      port: String(port),
      bind: '127.0.0.1',
      unixsocket: join(directory, 'redis.sock'),
      dir: directory,
      appendonly: 'yes',
      save: '',
      ...settings,
    };
    const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, value]);
    server = spawn('redis-server', args, { stdio: 'ignore' });
    const deadline = Date.now() + 10_000;
    while (!(await answers(port))) {
      if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
      if (Date.now() > deadline) throw new Error('redis-server does not answer');
      await wait(10);
    }
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    const running = server;
    server = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  };

  for (let attempt = 1; ; attempt++) {
    port = await freePort();
    try {
      await start();
      break;
    } catch (trouble) {
      // Somebody else may have taken the port meanwhile.
      if (attempt === 5) throw trouble;
      await end('SIGKILL');
    }
  }
  return {
    url: `redis://127.0.0.1:${port}/0`,
    socketUrl: `unix://${join(directory, 'redis.sock')}`,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    freeze: () => void server?.kill('SIGSTOP'),
    thaw: () => void server?.kill('SIGCONT'),
    start,
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Whether a PING is answered by a PONG: a server that still loads its data says -LOADING. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString().startsWith('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
