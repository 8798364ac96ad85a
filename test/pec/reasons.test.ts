import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enhancedStatus, reasons, replyText } from '../../src/pec/reasons.ts';

test('every refusal has a class that its code tells, and at most one place for what it is about', () => {
  for (const [name, reason] of Object.entries(reasons)) {
    assert.match(enhancedStatus(reason), new RegExp(`^${String(reason.code)[0]}\\.\\d\\.\\d{1,2}$`), name);
    assert.ok(reason.code >= 400 && reason.code < 600 && reason.text.split('{}').length <= 2, name);
  }
});

test('ordinary mail is refused in the words that senders know', () => {
  assert.equal(
    `554 ${replyText(reasons.ordinaryMail, 'bruno@pec.beta.example')}`,
    '554 5.7.1 <bruno@pec.beta.example>: Messaggio rifiutato dal sistema. Indirizzo destinatario sconosciuto o non abilitato alla ricezione di posta non certificata',
  );
});

test('what a reply is about cannot break the line, nor be taken for a pattern', () => {
  assert.equal(
    replyText(reasons.noRelay, 'a\r\n250 ok\0é'),
    '5.7.1 <a 250 ok >: no mailbox of this provider',
  );
  assert.equal(replyText(reasons.noRelay, '$&'), '5.7.1 <$&>: no mailbox of this provider');
  assert.ok(replyText(reasons.formalException, 'x'.repeat(5000)).length < 500);
});
