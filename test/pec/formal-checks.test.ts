import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formalExceptions, largestSize } from '../../src/pec/formal-checks.ts';
import { parseHeader } from '../../src/pec/header.ts';
import { formalFaults } from '../../src/pec/reasons.ts';
import { parseMailbox } from '../../src/pec/values.ts';

const anna = mailbox('anna@pec.alfa.example');
const to = [mailbox('bruno@pec.beta.example'), mailbox('carla@pec.beta.example')];
const good = [
  'Message-ID: <1@alfa.example>',
  'From: "Rossi, Anna" <Anna@pec.alfa.example>',
  'To: Bruno <BRUNO@pec.beta.example>',
  'Cc: (copy) carla@pec.beta.example',
  'Bcc:',
  'Subject: =?utf-8?q?Citt=C3=A0?=',
];

function mailbox(text: string) {
  return parseMailbox(text) ?? assert.fail(text);
}

function faults(lines: readonly string[], recipients = to) {
  return formalExceptions(parseHeader(lines.map(line => `${line}\r\n`).join('')), {
    from: anna,
    to: recipients,
  });
}

function with_(name: string, ...lines: string[]) {
  return [...good.filter(line => !line.startsWith(`${name}:`)), ...lines];
}

test('§3.1.1 a conforming submission has no exception', () => assert.deepEqual(faults(good), []));
test('§3.1.1 a group in To is well formed', () => {
  assert.deepEqual(faults(with_('To', 'To: Friends: bruno@pec.beta.example;')), []);
});
test('§3.1.1 a missing Message-ID, Date or Subject is no exception', () => {
  assert.deepEqual(faults(with_('Message-ID').filter(line => !line.startsWith('Subject'))), []);
});

const rows: [string, readonly string[], RegExp][] = [
  ['From missing', with_('From'), /From holds no valid address/],
  ['From without an address', with_('From', 'From: Anna'), /From holds no valid address/],
  ['two authors', with_('From', 'From: anna@pec.alfa.example, x@pec.alfa.example'), /several authors/],
  ['two From fields', [...good, 'From: x@pec.alfa.example'], /From is given twice/],
  ['To missing', with_('To'), /To holds no valid address/],
  ['To without addresses', with_('To', 'To: undisclosed-recipients:;'), /To holds no valid address/],
  ['To with a broken address', with_('To', 'To: bruno@pec.beta.example, Bruno'), /To holds no valid address/],
  ['another author', with_('From', 'From: x@pec.alfa.example'), /envelope sender anna@.* is not the author/],
  ['a recipient nowhere named', with_('Cc'), /recipient carla@.* is in neither To nor Cc/],
  [
    'a named one who gets nothing',
    with_('Cc', 'Cc: carla@pec.beta.example, dora@x.example'),
    /dora@x.example is in To or Cc/,
  ],
  ['Cc that cannot be read', with_('Cc', 'Cc: carla@pec.beta.example, <'), /Cc holds something/],
  ['Bcc', with_('Bcc', 'Bcc: x@y.example'), /Bcc holds a value/],
  ['a line that is no field', [...good, 'nonsense'], /no field/],
  ['8-bit bytes', with_('Subject', 'Subject: Citt\xe0'), /outside ASCII/],
  ['two Message-IDs', [...good, 'Message-Id: <2@alfa.example>'], /Message-ID is given twice/],
  ['two Subjects', [...good, 'SUBJECT: x'], /Subject is given twice/],
  ['two Dates', [...good, 'Date: x', 'Date: y'], /Date is given twice/],
  ['a Message-ID that is none', with_('Message-ID', 'Message-ID: hello'), /no message identifier/],
];
for (const [name, lines, expected] of rows)
  test(`§3.1.1 formal exception: ${name}`, () => {
    const [first] = faults(lines);
    const said = formalFaults[first?.name ?? assert.fail('no fault')].replace('{}', first?.about ?? '');
    assert.match(said, expected);
  });

test('§3.1.1 the limit is for the size times the recipients', () => {
  assert.equal(largestSize(30_000_000, 1), 30_000_000);
  assert.equal(largestSize(30_000_000, 50), 600_000);
});
