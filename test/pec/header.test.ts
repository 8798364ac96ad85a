import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  firstOf,
  formatField,
  formatSubject,
  headerBlock,
  inherited,
  parseHeader,
  replaced,
  valuesOf,
} from '../../src/pec/header.ts';

const block =
  'Received: one\r\nTO: a@b.example,\r\n\tc@d.example\r\nreceived: two\r\nSubject:  Hi \r\nNo field\r\n';

test('a header block is kept byte for byte', () => {
  assert.equal(headerBlock(parseHeader(block)), block);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ':', ' ', '\t', '\r\n', '\xe0', '-') }), text => {
      assert.equal(headerBlock(parseHeader(text)), text);
    }),
  );
});

test('values are unfolded and trimmed, names have no case', () => {
  const header = parseHeader(block);
  assert.deepEqual(valuesOf(header, 'Received'), ['one', 'two']);
  assert.equal(firstOf(header, 'to'), 'a@b.example,\tc@d.example');
  assert.equal(firstOf(header, 'Subject'), 'Hi');
  assert.equal(firstOf(header, 'Cc'), undefined);
  assert.deepEqual(header.map(({ name }) => name).at(-1), '');
});

test('fields are inherited as they stand, in their order (§2.1.1.2)', () => {
  assert.equal(
    inherited(parseHeader(block), ['To', 'Received']),
    'Received: one\r\nTO: a@b.example,\r\n\tc@d.example\r\nreceived: two\r\n',
  );
});

test('a replaced field stands where the first one stood; a new one at the end', () => {
  const once = replaced(parseHeader(block), 'received', 'Received: new\r\n');
  assert.equal(
    headerBlock(once),
    block.replace('Received: one', 'Received: new').replace('received: two\r\n', ''),
  );
  assert.equal(headerBlock(replaced(parseHeader(block), 'Cc', 'Cc: x\r\n')), `${block}Cc: x\r\n`);
});

test('a field we write cannot break the header, and reads back as it was', () => {
  assert.equal(formatField('To', 'a\r\nBcc: x'), 'To: a Bcc: x\r\n');
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'bc', ' ', '-'), maxLength: 400 }), text => {
      const line = formatField('Name', text);
      assert.deepEqual(valuesOf(parseHeader(line), 'Name'), [text.trim()]);
      for (const part of line.split('\r\n').slice(1, -1)) assert.match(part, /^ .*\S/);
    }),
  );
});

test('a subject of ours: the prefix in plain, the rest as encoded words made anew', () => {
  assert.equal(formatSubject('CONSEGNA: ', 'Ciao'), 'Subject: CONSEGNA: Ciao\r\n');
  assert.equal(formatSubject('CONSEGNA: ', 'Città'), 'Subject: CONSEGNA: =?UTF-8?B?Q2l0dMOg?=\r\n');
  assert.equal(
    formatSubject('CONSEGNA: ', 'x\r\nBcc: y@z.example'),
    'Subject: CONSEGNA: x Bcc: y@z.example\r\n',
  );
});
