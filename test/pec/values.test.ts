import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  dateField,
  domainOf,
  instant,
  legalTime,
  parseDomain,
  parseLegalTime,
  parseMailbox,
  parseMsgid,
  parsePecMsgid,
  sameMailbox,
} from '../../src/pec/values.ts';

test('a mailbox keeps its local part and lowers its domain', () => {
  const mailbox = parseMailbox('Anna.Rossi@PEC.Alfa.Example');
  assert.equal(mailbox, 'Anna.Rossi@pec.alfa.example');
  assert.equal(domainOf(mailbox ?? assert.fail()), 'pec.alfa.example');
});

for (const good of [
  'a@b.example',
  '"a b"@b.example',
  '"a@b"@b.example',
  "o'neil+x=1@b.example",
  'a@xn--p1ai.example',
])
  test(`a mailbox: ${good}`, () => assert.equal(parseMailbox(good), good));

for (const bad of [
  '',
  'a',
  '@b.example',
  'a@',
  'a@b',
  'a b@c.example',
  'a..b@c.example',
  '.a@c.example',
  'a@-b.example',
  'a@b..example',
  'a@[127.0.0.1]',
  'a@b.example\r\nX: y',
  'a\0@b.example',
  '"a\r\nb"@c.example',
  'à@b.example',
  'a@bé.example',
  `${'a'.repeat(65)}@b.example`,
  `a@${'b'.repeat(64)}.example`,
  `a@${'b.'.repeat(126)}example`,
])
  test(`no mailbox: ${JSON.stringify(bad).slice(0, 40)}`, () => assert.equal(parseMailbox(bad), undefined));

test('mailboxes are the same without regard to case (§2.2.1)', () => {
  const [a, b] = ['Anna@b.example', 'anna@B.example'].map(one => parseMailbox(one) ?? assert.fail());
  assert.ok(a && b && sameMailbox(a, b));
});

test('a domain has labels, no final dot and no case', () => {
  assert.equal(parseDomain('PEC.Alfa.Example'), 'pec.alfa.example');
  assert.equal(parseDomain('alfa.example.'), undefined);
});

test('a msgid is kept with its brackets, a PEC msgid without', () => {
  assert.equal(parseMsgid(' <a.1@b> '), '<a.1@b>');
  for (const bad of ['', 'a@b', '<a b>', '<a><b>', '<>', '<a\r\n>']) assert.equal(parseMsgid(bad), undefined);
  assert.equal(parsePecMsgid('<x1@b.example>'), 'x1@b.example');
  assert.equal(parsePecMsgid('x1@b.example'), 'x1@b.example');
});

test('an instant is a whole second, shown in the legal time of Italy (§4.2)', () => {
  const winter = instant(Date.UTC(2024, 11, 4, 23, 2, 10, 987));
  assert.deepEqual(legalTime(winter), { date: '05/12/2024', time: '00:02:10', zone: '+0100' });
  assert.equal(dateField(winter), 'Thu, 05 Dec 2024 00:02:10 +0100');
  const summer = instant(Date.UTC(2026, 6, 31, 22, 0, 0));
  assert.deepEqual(legalTime(summer), { date: '01/08/2026', time: '00:00:00', zone: '+0200' });
});

test('the legal time states its instant, through every change of the clock', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), seconds => {
      const at = instant(seconds * 1000);
      assert.equal(parseLegalTime(legalTime(at)), at);
      assert.equal(Date.parse(dateField(at)), at);
    }),
  );
});

test('what states no instant is none', () => {
  const good = { date: '05/12/2024', time: '00:02:10', zone: '+01:00' };
  assert.equal(parseLegalTime(good), Date.UTC(2024, 11, 4, 23, 2, 10));
  for (const bad of [{ date: '5/12/2024' }, { date: '32/12/2024' }, { time: '24:61:00' }, { zone: 'CET' }])
    assert.equal(parseLegalTime({ ...good, ...bad }), undefined);
});
