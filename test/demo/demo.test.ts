// `pecd demo` from the outside: what it prints, what it leaves (nothing), and how it fails
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { until } from '../../src/demo/processes.ts';

const MAIN = fileURLToPath(import.meta.resolve('../../src/main.ts'));
const PATIENCE = 60_000;

/** The document of --json. */
interface Report {
  readonly directory: string;
  readonly anchors: string;
  readonly messages: readonly Readonly<Record<'at' | 'mailbox' | 'kind' | 'subject' | 'file', string>>[];
}

/** `pecd demo` with a temporary directory of its own. */
function start(folder: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, 'demo', ...args], {
    env: { ...process.env, TMPDIR: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What it says, as far as it came; `ended` when it is over. */
function listenTo(child: ChildProcess) {
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', chunk => {
      said[stream] += chunk;
    });
  }
  const ended = once(child, 'close').then(([code]) => ({ ...said, code: code as number | null }));
  return { said, ended };
}

/** Nothing of the demo is in its temporary directory any more, and nothing runs there. */
async function assertNothingLeft(folder: string): Promise<void> {
  assert.deepEqual(await readdir(folder), []);
  assert.deepEqual(await workersIn(folder), []);
}

async function workersIn(folder: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const signs = await Promise.all(
    ids.flatMap(id => [
      readlink(`/proc/${id}/cwd`).catch(() => ''),
      readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => ''),
    ]),
  );
  return signs.filter(sign => sign.includes(folder));
}

test('--json, --out, --keep: one document about copies that stay; servers until a signal, then nothing', async () => {
  await using folder = await temporaryFolder('pecd-demo-test');
  await using copies = await temporaryFolder('pecd-demo-copies');
  const child = start(folder.path, ['--json', '--keep', '--out', copies.path]);
  const { said, ended } = listenTo(child);
  await until('the invitation', PATIENCE, () => said.stderr.includes('Ctrl-C') || child.exitCode !== null);
  assert.ok((await workersIn(folder.path)).length > 10, said.stderr);
  child.kill('SIGTERM');
  const { stdout, stderr, code } = await ended;
  assert.equal(code, 0, stderr);
  await assertNothingLeft(folder.path);

  const { directory, anchors, messages } = JSON.parse(stdout) as Report;
  assert.equal(directory, copies.path);
  assert.deepEqual(messages.map(({ mailbox, kind }) => `${mailbox} ${kind}`).toSorted(), [
    'anna@pec.alfa.example accettazione',
    'anna@pec.alfa.example avvenuta-consegna',
    'anna@pec.alfa.example avvenuta-consegna',
    'bruno@pec.beta.example errore',
    'bruno@pec.beta.example posta-certificata',
    'carla@pec.beta.example posta-certificata',
    'mario@ordinary.example posta-certificata',
    'ricevute@pec.alfa.example presa-in-carico',
  ]);
  for (const { at, subject, file } of messages) {
    assert.ok(Date.parse(at) > 0 && subject.length > 0);
    await promisify(execFile)('openssl', [
      'cms',
      '-verify',
      '-in',
      file,
      '-CAfile',
      anchors,
      '-out',
      '/dev/null',
    ]);
  }
});

test('the timeline: every message with its subject; no colour on a pipe', async () => {
  await using folder = await temporaryFolder('pecd-demo-test');
  const { stdout, stderr, code } = await listenTo(start(folder.path, [])).ended;
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  for (const subject of [
    'ACCETTAZIONE: ',
    'POSTA CERTIFICATA: ',
    'PRESA IN CARICO: ',
    'CONSEGNA: ',
    'ANOMALIA MESSAGGIO: ',
  ])
    assert.ok(stdout.includes(`"${subject}`), subject);
  assert.match(stdout, /554 5\.7\.1 <bruno@pec\.beta\.example>: Messaggio rifiutato dal sistema/);
  assert.ok(!stdout.includes('\x1b'));
  await assertNothingLeft(folder.path);
});

test('a check that does not hold is an error that says what, where, and what the daemons said', async () => {
  await using folder = await temporaryFolder('pecd-demo-test');
  await using copies = await temporaryFolder('pecd-demo-copies');
  await using programs = await temporaryFolder('pecd-demo-bin');
  const xmllint = join(programs.path, 'xmllint');
  await writeFile(xmllint, '#!/bin/sh\necho no grammar holds >&2\nexit 3\n', { mode: 0o755 });
  const environment = { PATH: `${programs.path}:${process.env.PATH}` };
  const { stdout, stderr, code } = await listenTo(
    start(folder.path, ['--json', '--out', copies.path], environment),
  ).ended;
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /: .+, ".+: Contratto .+"\nin \/.+\.eml\nCommand failed: xmllint .+\nno grammar holds/,
  );
  for (const daemon of ['Alfa', 'Beta'])
    assert.match(stderr, new RegExp(`last lines of pecd of ${daemon} PEC:\n.*"event"`));
  await assertNothingLeft(folder.path);
});

test('a signal on the way breaks it off, and nothing is left', async () => {
  await using folder = await temporaryFolder('pecd-demo-test');
  const child = start(folder.path, []);
  const { said, ended } = listenTo(child);
  await until('the servers', PATIENCE, () => said.stdout.includes('are up') || child.exitCode !== null);
  child.kill('SIGINT');
  const { stdout, stderr, code } = await ended;
  assert.equal(code, 130, stderr);
  assert.equal(stderr, '');
  assert.ok(!stdout.includes('All of it came'));
  await assertNothingLeft(folder.path);
});
