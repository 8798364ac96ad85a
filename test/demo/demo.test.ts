// `pecd demo` from the outside: what it prints, what it leaves (nothing), and how it fails
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';

const MAIN = fileURLToPath(import.meta.resolve('../../src/main.ts'));

/** Starts `pecd demo` with a temporary directory of its own. */
function start(folder: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [MAIN, 'demo', ...args], {
    env: { ...process.env, TMPDIR: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([stdout, stderr, [code]]) => ({ stdout, stderr, code: code as number | null }),
  );
  return { child, ended };
}

/** Nothing of the demo is on disk any more, and nothing runs. */
async function assertNothingLeft(folder: string): Promise<void> {
  assert.deepEqual(await readdir(folder), []);
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const where = await Promise.all(ids.map(id => readlink(`/proc/${id}/cwd`).catch(() => '')));
  const arguments_ = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => '')));
  const left = ids.filter((_, index) => `${where[index]} ${arguments_[index]}`.includes(folder));
  assert.deepEqual(left, []);
}
