// The house keeps its shape: imports run one way, files keep their names and sizes. docs/architecture.md
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const SRC = resolve(import.meta.dirname, '../src');

interface Room {
  /** Rooms whose files may be imported, beside the room's own. */
  readonly rooms: readonly string[];
  /** Packages and node modules that may be imported. */
  readonly outside: RegExp;
}

const nothing = /^(?!)/;
const rules: Record<string, Room> = {
  pec: { rooms: [], outside: nothing },
  mime: {
    rooms: ['pec'],
    outside: /^(node:crypto|node:stream(\/promises)?|mailsplit|nodemailer\/lib\/(qp|mime-funcs))$/,
  },
  smime: { rooms: ['pec'], outside: /^(node:crypto|node:util|node-forge)$/ },
  points: { rooms: ['pec', 'mime', 'smime'], outside: /^node:crypto$/ },
  adapters: { rooms: ['points', 'pec', 'mime', 'smime'], outside: /./ },
  config: { rooms: ['pec'], outside: /^(node:.*|zod|yaml)$/ },
  commands: { rooms: ['', 'adapters', 'config', 'points', 'pec', 'mime', 'smime'], outside: /./ },
  demo: { rooms: ['', 'adapters', 'config', 'commands', 'points', 'pec', 'mime', 'smime'], outside: /./ },
  // app.ts, main.ts and their like: the roof.
  '': { rooms: ['adapters', 'config', 'commands', 'demo', 'points', 'pec', 'mime', 'smime'], outside: /./ },
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));

function roomOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : '';
}

function importsOf(file: string): string[] {
  const source = readFileSync(join(SRC, file), 'utf8');
  return [...source.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    ([, from, lazily]) => from ?? lazily ?? '',
  );
}

test('imports run one way: every file asks only for what is below it', () => {
  const breaches = files.flatMap(file => {
    const room = rules[roomOf(file)] ?? assert.fail(`${file} is in no room that the house knows`);
    return importsOf(file)
      .filter(name => {
        if (!name.startsWith('.')) return !room.outside.test(name);
        const target = relative(SRC, resolve(SRC, dirname(file), name));
        if (target.startsWith('..')) return false;
        return roomOf(target) !== roomOf(file) && !room.rooms.includes(roomOf(target));
      })
      .map(name => `${file} imports ${name}`);
  });
  assert.deepEqual(breaches, []);
});

test('no adapter imports another', () => {
  const own = (file: string) => file.replace(/\.ts$/, '').split('/')[1] ?? '';
  const breaches = files
    .filter(file => roomOf(file) === 'adapters')
    .flatMap(file =>
      importsOf(file)
        .filter(name => name.startsWith('.'))
        .map(name => relative(SRC, resolve(SRC, dirname(file), name)))
        .filter(target => roomOf(target) === 'adapters' && own(target) !== own(file))
        .map(target => `${file} imports ${target}`),
    );
  assert.deepEqual(breaches, []);
});

test('no cycle of imports', () => {
  const graph = new Map(
    files.map(file => [
      file,
      importsOf(file)
        .filter(name => name.startsWith('.'))
        .map(name => relative(SRC, resolve(SRC, dirname(file), name))),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), [...path, file].join(' -> '));
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

test('every file begins with its duty, has a name that says something, and is short', () => {
  for (const file of files) {
    const source = readFileSync(join(SRC, file), 'utf8');
    assert.match(source, /^(#!.*\n)?\/\/ \S/, `${file} does not begin with its duty`);
    assert.match(file, /^[a-z0-9/.-]+$/, `${file} is not in kebab-case`);
    assert.doesNotMatch(file, /(^|\/)(utils?|helpers?|common|misc|manager|service|base)\./, file);
    assert.ok(source.split('\n').length <= 300, `${file} has more than 300 lines: is it one idea?`);
  }
});
