// Programs of the demo: ready or explained, ended with all their children, also when their owner crashes
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { membersOf, type Program, Server, until } from '../../src/demo/processes.ts';

const source = (name: string) => import.meta.resolve(`../../src/demo/${name}.ts`);

function shell(folder: string, script: string): Program {
  return {
    name: 'the script',
    command: 'sh',
    args: ['-c', script],
    log: join(folder, 'log'),
    isReady: log => log.includes('ready'),
  };
}

/** The script writes its process id, which is its group's. */
async function groupIn(log: string): Promise<number> {
  return Number((await readFile(log, 'utf8')).split(/\s/).at(-2));
}

for (const end of ['stop', 'kill'] as const) {
  test(`${end} ends the children too, and the program starts again`, async () => {
    await using folder = await temporaryFolder('pecd-process');
    const program = shell(folder.path, 'sleep 1000 & child=$!; trap "kill $child" TERM; echo ready $$; wait');
    await using server = new Server(program);
    for (const _ of [1, 2]) {
      await server.start();
      const group = await groupIn(program.log);
      assert.equal((await membersOf(group)).length, 2);
      await server[end]();
      assert.deepEqual(await membersOf(group), []);
      server.assertAlive();
    }
  });
}

test('a program that ends before it is ready is quoted', async () => {
  await using folder = await temporaryFolder('pecd-process');
  const server = new Server(shell(folder.path, 'echo no such luck >&2; exit 3'));
  await assert.rejects(server.start(), /the script ended with code 3\n {2}no such luck/);
  await assert.rejects(new Server({ ...server.program, command: 'no-such-program' }).start(), /ENOENT/);
});

test('a program that ends unasked is noticed, and its children do not outlive it', async () => {
  await using folder = await temporaryFolder('pecd-process');
  const server = new Server(shell(folder.path, 'sleep 1000 & echo ready $$; wait'));
  await server.start();
  const group = await groupIn(server.program.log);
  process.kill(group, 'SIGKILL');
  const noticed = until('the end', 10_000, () => {
    server.assertAlive();
    return false;
  });
  await assert.rejects(noticed, /the script was ended by SIGKILL/);
  await server.stop();
  assert.deepEqual(await membersOf(group), []);
});

const crashes = {
  'an uncaught error': 'setImmediate(() => { throw new Error("crash"); });',
  'process.exit': 'process.exit(1);',
};
for (const [crash, code] of Object.entries(crashes)) {
  test(`after ${crash} neither programs nor folders are left`, async () => {
    const script = `
      import { Server } from ${JSON.stringify(source('processes'))};
      import { temporaryFolder } from ${JSON.stringify(source('folders'))};
      const folder = await temporaryFolder('pecd-crash');
      const log = folder.path + '/log';
      const args = ['-c', 'sleep 1000 & echo ready; echo $$; wait'];
      const server = new Server({ name: 'x', command: 'sh', args, log, isReady: log => /ready\\n\\d+\\n/.test(log) });
      await server.start();
      const { readFileSync } = await import('node:fs');
      console.log(folder.path, readFileSync(log, 'utf8').split('\\n')[1]);
      ${code}
    `;
    const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const { stdout, code: exit } = await child.catch(trouble => trouble);
    assert.equal(exit, 1);
    const [folder, group] = stdout.trim().split(' ');
    assert.ok(folder.includes('pecd-crash-') && Number(group) > 1, stdout);
    assert.ok(!existsSync(folder));
    await until('the group to end', 10_000, async () => (await membersOf(Number(group))).length === 0);
  });
}
