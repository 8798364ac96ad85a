// The map of RFC 6109 is fresh, has no holes, and points at sections that there are
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  citationsIn,
  citedSections,
  remarks,
  rfc6109Map,
  sections,
  unknownSections,
} from '../src/rfc6109.ts';

const code = citationsIn('src');
const tests = citationsIn('test');

test('docs/rfc6109.md is that of the files (npm run generate)', async () => {
  assert.equal(await readFile(new URL('../docs/rfc6109.md', import.meta.url), 'utf8'), rfc6109Map());
});

test('every section has code and tests that cite it, or a remark that says why not', () => {
  const answered = (section: string) => (code.has(section) && tests.has(section)) || remarks.has(section);
  assert.deepEqual(
    [...sections.keys()].filter(section => !answered(section)),
    [],
  );
});

test('nobody cites, or remarks on, a section that there is not', () => {
  assert.deepEqual([unknownSections(code), unknownSections(tests)], [[], []]);
  assert.deepEqual(
    [...remarks.keys()].filter(section => !sections.has(section)),
    [],
  );
  assert.deepEqual(unknownSections(new Map([['3.1.7', ['src/x.ts']]])), ['3.1.7']);
});

const sign = '\u00a7';
const rows: readonly (readonly [name: string, lines: readonly string[], cited: readonly string[]])[] = [
  ['a list after the name', [`// Duty. RFC 6109 ${sign}2.2.1, ${sign}3.1`], ['2.2.1', '3.1']],
  ['alone, in a file that names no RFC', ['// Duty', `/** Why (${sign}3.1.6). */`], ['3.1.6']],
  ['alone, in a file of RFC 6109', ['// Duty. RFC 6109', `test('${sign}4.1 x')`], ['4.1']],
  [
    'alone, in a file of another RFC',
    [`// RFC 5280 ${sign}6.1, RFC 6109 ${sign}5.5.2`, `// (${sign}4.2.1.9)`],
    ['5.5.2'],
  ],
  ['of another RFC', [`// Duty (${sign}2.3)`, `// RFC 5321 ${sign}2.3.8, ${sign}4.5`], ['2.3']],
  ['of one RFC after another', [`// RFC 5652 ${sign}5; RFC 6109 ${sign}2.1, RFC 8551 ${sign}3`], ['2.1']],
  ['at the end of a sentence', [`// See ${sign}4.4.`], ['4.4']],
  ['none', ['// RFC 6109, section 3'], []],
];
for (const [name, lines, cited] of rows)
  test(`citations: ${name}`, () => assert.deepEqual([...citedSections(lines.join('\n'))], cited));
