import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeWords, encodeWords } from '../../src/pec/encoded-words.ts';

const cases: [string, string][] = [
  ['plain', 'plain'],
  ['=?utf-8?q?Citt=C3=A0_di?= Alfa', 'Città di Alfa'],
  ['=?ISO-8859-1?Q?perch=E9?=', 'perché'],
  ['=?utf-8?B?Q2l0dMOg?=', 'Città'],
  ['=?utf-8?B?Q2l0dMM?= =?UTF-8?B?oA?=', 'Città'],
  ['=?utf-8?q?a?= =?utf-8?q?b?= c', 'ab c'],
  ['=?utf-8*it?q?ciao?=', 'ciao'],
  ['=?utf-8?q?a?=\t =?iso-8859-1?q?=E0?=', 'aà'],
  ['=?no-such-charset?q?a?=', '=?no-such-charset?q?a?='],
  ['Citt\xc3\xa0', 'Città'],
  ['Citt\xe0', 'Città'],
  ['a =?utf-8?x?a?= b', 'a =?utf-8?x?a?= b'],
];
for (const [coded, text] of cases) test(`decoded: ${coded}`, () => assert.equal(decodeWords(coded), text));

test('any text survives being written and read, in lines that every server passes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), text => {
      const words = encodeWords(text);
      assert.match(words, /^[\x20-\x7e]*$/);
      assert.ok(words.split(' ').every(word => !word.startsWith('=?') || word.length <= 75));
      const meant = text
        .toWellFormed()
        .replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
        .trim();
      assert.equal(decodeWords(words), meant);
    }),
  );
});
