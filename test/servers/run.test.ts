// What a running daemon makes of signals, and how it tells that it is ready
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { exampleYaml } from '../../src/config/reference.ts';

const fake = fileURLToPath(new URL('fake-daemon.ts', import.meta.url));

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-run-'));
});
after(() => rm(directory, { recursive: true }));

/** A process whose output is read as it comes. */
class Talker implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  #said = '';

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(command, args, { env, stdio: 'pipe' });
    this.ended = once(this.child, 'exit');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', chunk => {
        this.#said += chunk;
      });
    }
  }

  /** Resolves when `text` was said, on either stream; rejects when it does not come. */
  async hears(text: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!this.#said.includes(text)) {
      if (Date.now() > deadline) throw new Error(`'${text}' was not said:\n${this.#said}`);
      await pause(5);
    }
  }

  get said(): string {
    return this.#said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** A daemon that has started, and its configuration file. */
async function daemon(name: string, env?: NodeJS.ProcessEnv): Promise<{ file: string; process: Talker }> {
  const file = join(directory, `${name}.yaml`);
  await writeFile(file, exampleYaml());
  const started = new Talker(process.execPath, [fake, file], env);
  await started.hears('started');
  return { file, process: started };
}

test('SIGTERM drains; the process ends well when the drain is over', async () => {
  const { process: running } = await daemon('drain');
  await using _end = running;
  running.child.kill('SIGTERM');
  await running.hears('draining');
  running.child.stdin?.write('over\n');
  assert.deepEqual(await running.ended, [0, null]);
  assert.match(running.said, /disposed/);
  assert.doesNotMatch(running.said, /aborted/);
});

test('a second signal ends it at once', async () => {
  const { process: running } = await daemon('abort');
  await using _end = running;
  running.child.kill('SIGTERM');
  await running.hears('draining');
  running.child.kill('SIGINT');
  assert.deepEqual(await running.ended, [null, 'SIGINT']);
});

test('SIGHUP reloads; a bad file leaves the old configuration in force and says why', async () => {
  const { file, process: running } = await daemon('reload');
  await using _end = running;
  await writeFile(file, exampleYaml().replace('recipients: 100', 'recipients: 70'));
  running.child.kill('SIGHUP');
  await running.hears('reload: 70 recipients');
  await running.hears('pecd: reloaded; changed, but in force only after a restart: limits.recipients\n');

  await writeFile(file, exampleYaml().replace('recipients: 100', 'recipients: many'));
  running.child.kill('SIGHUP');
  await running.hears('pecd: not reloaded, the old configuration stays in force: ');
  await running.hears('limits.recipients: must be a number\n');

  await writeFile(file, exampleYaml());
  running.child.kill('SIGHUP');
  await running.hears('reload: 100 recipients');
  await running.hears('pecd: reloaded\n');
});

test('READY=1 goes to the socket of the service manager', async () => {
  const socket = join(directory, 'notify.sock');
  const listener = `
import socket
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(${JSON.stringify(socket)})
print('bound', flush=True)
while True:
    print(manager.recv(4096).decode(), flush=True)
`;
  await using manager = new Talker('python3', ['-c', listener]);
  await manager.hears('bound');
  const { process: running } = await daemon('ready', { ...process.env, NOTIFY_SOCKET: socket });
  await using _end = running;
  await manager.hears('READY=1');
});
