import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddresses } from '../../src/pec/addresses.ts';

const good: [string, string[]][] = [
  ['a@b.example', ['a@b.example']],
  ['Anna <a@b.example>', ['a@b.example']],
  ['<a@b.example>, c@d.example', ['a@b.example', 'c@d.example']],
  ['"Rossi, Anna" <a@b.example>', ['a@b.example']],
  ['"Anna \\"<x@y.example>\\"" <a@b.example>', ['a@b.example']],
  ['=?utf-8?q?Anna=2C?= <a@b.example>', ['a@b.example']],
  ['a@b.example (Anna, of (nested \\) ) Alfa)', ['a@b.example']],
  ['(before) Anna <a (in) @ b . example> (after)', ['a@b.example']],
  ['Friends: a@b.example, "C" <c@d.example>;, e@f.example', ['a@b.example', 'c@d.example', 'e@f.example']],
  ['undisclosed-recipients:;', []],
  ['<@relay.example:a@b.example>', ['a@b.example']],
  ['"quoted local"@b.example', ['"quoted local"@b.example']],
  ['"a . b"@c.example', ['"a . b"@c.example']],
  [', a@b.example,, c@d.example,', ['a@b.example', 'c@d.example']],
];
for (const [value, mailboxes] of good)
  test(`addresses of ${value}`, () => {
    assert.deepEqual(parseAddresses(value), { mailboxes, wellFormed: true });
  });

for (const bad of [
  'Anna',
  'a@b.example c@d.example',
  'Rossi, Anna <a@b.example>',
  'Anna <a@b.example> x',
  'Anna <a@b.example',
  '"Anna <a@b.example>',
  'a@b.example (open',
  'Group: a@b.example',
  'One: Two: a@b.example;;',
  'a@b.example;',
  '<a@b.example> <c@d.example>',
  '<a@b.example>:',
])
  test(`not well formed: ${bad}`, () => assert.equal(parseAddresses(bad).wellFormed, false));

test('any text is read without harm and names no mailbox that is none', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), value => {
      for (const mailbox of parseAddresses(value).mailboxes)
        assert.match(mailbox, /^[^\r\n\0]+@[a-z0-9.-]+$/);
    }),
  );
});

test('hostile lengths take linear time', () => {
  for (const piece of ['(', '"a" ', '<', ',', ':', 'a ', '. ', '\\'])
    parseAddresses(piece.repeat(250_000 / piece.length));
});
