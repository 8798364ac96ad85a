import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageFacts } from '../../src/pec/receipts.ts';
import {
  type Heard,
  overdueRecipients,
  timeoutError,
  unheardRecipients,
  waitsFor,
} from '../../src/pec/tracking.ts';
import { instant, parseMailbox, parsePecMsgid } from '../../src/pec/values.ts';

const mailbox = (text: string) => parseMailbox(text) ?? assert.fail(text);
const bruno = mailbox('Bruno@pec.beta.example');
const mario = mailbox('mario@ordinary.example');
const at = instant(1_700_000_000_000);
const about: MessageFacts = {
  pecMsgid: parsePecMsgid('x1@pec.alfa.example') ?? assert.fail(),
  sender: mailbox('anna@pec.alfa.example'),
  recipients: [
    { address: bruno, kind: 'certificato' },
    { address: mario, kind: 'esterno' },
  ],
  replyTo: '',
};

function tracked(...heard: Heard[]) {
  return {
    about,
    heard: new Map([['bruno@pec.beta.example', Object.fromEntries(heard.map(one => [one, at]))]]),
  };
}

const rows: [readonly Heard[], boolean, boolean][] = [
  [[], true, true],
  [['presa-in-carico'], false, true],
  [['avvenuta-consegna'], false, false],
  [['errore-consegna'], false, false],
  [['presa-in-carico', 'avvenuta-consegna'], false, false],
];
for (const [heard, first, second] of rows)
  test(`§3.1.6 heard ${heard.join(' and ') || 'nothing'}`, () => {
    assert.deepEqual(overdueRecipients(tracked(...heard), 'first'), first ? [bruno] : []);
    assert.deepEqual(overdueRecipients(tracked(...heard), 'second'), second ? [bruno] : []);
    assert.deepEqual(unheardRecipients(tracked(...heard)), first ? [bruno] : []);
  });

test('§3.1.6 two waits for one message, however many recipients', () => {
  const waits = waitsFor(about, at, { firstNotice: 1000, secondNotice: 3000 });
  assert.deepEqual(
    waits.map(({ notice, due, to }) => [notice, due - at, to]),
    [
      ['first', 1000, about.sender],
      ['second', 3000, about.sender],
    ],
  );
});

test('the codes of the two notices differ', () => {
  assert.match(timeoutError('first', 'Alfa').extended, /^4\.4\.1 - Alfa - /);
  assert.match(timeoutError('second', 'Alfa').extended, /^5\.4\.1 - Alfa - /);
});
