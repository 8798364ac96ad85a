// test/prepare.sh: silent when nothing is missing; else it installs what is missing and nothing else
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';

const SCRIPT = fileURLToPath(import.meta.resolve('../prepare.sh'));
const POLICY = '/usr/sbin/policy-rc.d';
const [, WANTED = ''] = /^wanted='(.+)'$/m.exec(await readFile(SCRIPT, 'utf8')) ?? [];
const PACKAGES = WANTED.split(' ');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function prepare(script: string, command: readonly string[], env = process.env): Promise<Outcome> {
  const run = promisify(execFile)('sh', [script, ...command], { env });
  return run.then(
    output => ({ code: 0, ...output }),
    trouble => ({ code: trouble.code, stdout: trouble.stdout, stderr: trouble.stderr }),
  );
}

test('with everything there it says nothing and passes the command on as it is, with our Node in front', async () => {
  const command = [
    'node',
    '-p',
    'JSON.stringify([process.versions.node, ...process.argv.slice(1)])',
    'a',
    'b  c',
    '',
  ];
  const { code, stdout, stderr } = await prepare(SCRIPT, command);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), [process.versions.node, 'a', 'b  c', '']);
  assert.deepEqual(await prepare(SCRIPT, ['sh', '-c', 'exit 7']), { code: 7, stdout: '', stderr: '' });
});

/** A project with nothing in it, on a machine whose programs do no more than note how they were called. */
interface Machine {
  /** What dpkg-query says of Debian packages; the wanted ones are `installed` unless said otherwise. */
  readonly packages?: Readonly<Record<string, 'not known' | 'config-files'>>;
  /** In seconds: how much younger package-lock.json is than what is installed. */
  readonly lockYoungerBy?: number;
  readonly node?: string;
  readonly uid?: number;
  /** The first `apt-get install` fails, as it does when nobody ever ran `apt-get update`. */
  readonly noLists?: 'yes';
  /** Every one of them fails. */
  readonly noPackages?: 'yes';
}

/** Runs the script there for `echo done`; resolves to its outcome, and the programs called, in order. */
async function prepareOn(machine: Machine): Promise<Outcome & { readonly calls: readonly string[] }> {
  await using folder = await temporaryFolder('pecd-prepare');
  const below = (name: string) => join(folder.path, name);
  await mkdir(below('test'));
  await mkdir(below('node_modules/.bin'), { recursive: true });
  await copyFile(SCRIPT, below('test/prepare.sh'));
  await writeFile(below('package-lock.json'), '{}');
  await writeFile(below('node_modules/.package-lock.json'), '{}');
  await writeFile(below('calls'), '');
  if (machine.noLists) await writeFile(below('no-lists'), '');
  const now = Date.now() / 1000;
  await utimes(below('node_modules/.package-lock.json'), now, now - (machine.lockYoungerBy ?? -1));
  await utimes(below('package-lock.json'), now, now);
  const states = PACKAGES.map(name => [machine.packages?.[name] ?? 'installed', name]);
  const known = states.filter(([state]) => state !== 'not known').map(([state, name]) => `${state}:${name}`);
  const programs = {
    node: `echo ${machine.node ?? 'v24.0.0'}`,
    npm: `echo "npm $*" >> ${below('calls')}`,
    id: `echo ${machine.uid ?? 0}`,
    'dpkg-query': `echo '${known.join(' ')} '; exit ${known.length === states.length ? 0 : 1}`,
    'debconf-set-selections': `echo "debconf: $(cat)" >> ${below('calls')}`,
    'apt-get': `${machine.noPackages ? 'echo no such package >&2; exit 100;' : ''} echo "apt-get $1 $(echo "$*" | sed 's/.*-recommends //; t; s/.*//')" >> ${below('calls')}
      ${POLICY} || echo "policy says $?" >> ${below('calls')}
      [ $1 = update ] || ! rm ${below('no-lists')} 2>/dev/null`,
    sudo: `echo "sudo $1" >> ${below('calls')}; exec "$@"`,
  };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(below(`node_modules/.bin/${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const env = { PATH: `${below('node_modules/.bin')}:${process.env.PATH}` };
  const outcome = await prepare(below('test/prepare.sh'), ['echo', 'done'], env);
  const calls = (await readFile(below('calls'), 'utf8')).split('\n').slice(0, -1);
  // How the policy gets there depends on whether the machine has one of its own.
  const noted = calls.map(line => line.trim()).filter(line => !/^sudo (tee|chmod|rm)$/.test(line));
  return { ...outcome, calls: noted };
}

const LOCAL_ONLY = 'debconf: postfix postfix/main_mailer_type select Local only';
const NO_START = 'policy says 101';
const cases: readonly (Machine & { readonly title: string; readonly calls: readonly string[] })[] = [
  { title: 'nothing missing', calls: [] },
  {
    title: 'npm packages older than the lock file',
    lockYoungerBy: 10,
    calls: ['npm install --no-save --no-audit --no-fund --loglevel=error'],
  },
  {
    title: 'a package that was never there, and one that was removed',
    packages: { swaks: 'not known', 'redis-server': 'config-files' },
    calls: ['apt-get install redis-server swaks', NO_START],
  },
  {
    title: 'Postfix: it must not listen to the world',
    packages: { postfix: 'not known' },
    calls: [LOCAL_ONLY, 'apt-get install postfix', NO_START],
  },
  {
    title: 'no package lists yet',
    packages: { swaks: 'not known' },
    noLists: 'yes',
    calls: [
      ...['apt-get install swaks', NO_START],
      ...['apt-get update', NO_START],
      ...['apt-get install swaks', NO_START],
    ],
  },
  {
    title: 'not root: the command gets root, and our PATH',
    uid: 1000,
    packages: { postfix: 'not known' },
    calls: [
      ...['sudo debconf-set-selections', LOCAL_ONLY],
      ...['sudo env', 'apt-get install postfix', NO_START, 'sudo env'],
    ],
  },
];
for (const { title, calls, ...machine } of cases) {
  test(title, async () => {
    const hadPolicy = existsSync(POLICY);
    const outcome = await prepareOn(machine);
    assert.deepEqual([outcome.code, outcome.stdout], [0, 'done\n'], outcome.stderr);
    assert.deepEqual(outcome.calls, calls);
    assert.equal(outcome.stderr === '', calls.length === 0, outcome.stderr);
    assert.equal(existsSync(POLICY), hadPolicy);
  });
}

test('what apt-get said is shown when it fails', async () => {
  const { code, stdout, stderr } = await prepareOn({ packages: { swaks: 'not known' }, noPackages: 'yes' });
  assert.deepEqual([code, stdout], [69, '']);
  assert.match(stderr, /no such package\n(?:.*\n)*prepare: apt-get failed\n$/);
});

test('an old Node, and no other: refused', async () => {
  const { code, stderr, stdout } = await prepareOn({ node: 'v20.19.0' });
  assert.deepEqual([code, stdout], [69, '']);
  assert.match(stderr, /Node 24 or newer is needed, found: v20\.19\.0/);
});
