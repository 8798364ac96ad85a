// Bounces as mail servers write them, and everything else, which is no bounce. RFC 3464, RFC 6522, RFC 6533
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DeliveryStatus, dsnReader } from '../../src/mime/dsn-reader.ts';
import { bytesOf, cut, sizes } from './streams.ts';

const lines = (...some: string[]) => some.join('\r\n');

function read(message: string | Buffer, cuts: readonly number[] = [1 << 20]): DeliveryStatus | undefined {
  const reader = dsnReader();
  for (const chunk of cut(Buffer.from(message as string, 'latin1'), cuts)) reader.push(chunk);
  return reader.end();
}

const POSTFIX_HEADER = [
  'Return-Path: <>',
  'Date: Thu,  5 Dec 2024 00:02:12 +0100 (CET)',
  'From: MAILER-DAEMON@mx.alfa.example (Mail Delivery System)',
  'Subject: Undelivered Mail Returned to Sender',
  'To: anna@pec.alfa.example',
  'Auto-Submitted: auto-replied',
  'MIME-Version: 1.0',
  'Content-Type: multipart/report; report-type=delivery-status;',
  '\tboundary="4C1F2A0123.1733353332/mx.alfa.example"',
  'Message-Id: <20241204230212.5D6E7A0124@mx.alfa.example>',
  '',
  'This is a MIME-encapsulated message.',
  '',
];
const POSTFIX_BOUNDARY = '--4C1F2A0123.1733353332/mx.alfa.example';
const NOTIFICATION = [
  POSTFIX_BOUNDARY,
  'Content-Description: Notification',
  'Content-Type: text/plain; charset=us-ascii',
  '',
  'This is the mail system at host mx.alfa.example.',
  '',
  '<nessuno@pec.beta.example>: host mx.beta.example[192.0.2.25] said: 550 5.1.1',
  '    Final-Recipient: rfc822; tricky@pec.beta.example',
  '',
];
const STATUS = [
  POSTFIX_BOUNDARY,
  'Content-Description: Delivery report',
  'Content-Type: message/delivery-status',
  '',
  'Reporting-MTA: dns; mx.alfa.example',
  'X-Postfix-Queue-ID: 4C1F2A0123',
  'X-Postfix-Sender: rfc822; anna@pec.alfa.example',
  'Arrival-Date: Thu,  5 Dec 2024 00:02:10 +0100 (CET)',
  '',
  'Final-Recipient: rfc822; nessuno@pec.beta.example',
  'Original-Recipient: rfc822;nessuno@pec.beta.example',
  'Action: failed',
  'Status: 5.1.1',
  'Remote-MTA: dns; mx.beta.example',
  'Diagnostic-Code: smtp; 550 5.1.1 <nessuno@pec.beta.example>: Recipient address',
  '    rejected: User unknown',
  '',
  'Final-Recipient: rfc822; bruno@pec.gamma.example',
  'Action: delayed',
  'Status: 4.4.1',
  '',
];
const RETURNED = [
  POSTFIX_BOUNDARY,
  'Content-Description: Undelivered Message',
  'Content-Type: message/rfc822',
  '',
  'Received: from localhost (localhost [127.0.0.1])',
  '\tby mx.alfa.example (Postfix) with ESMTP id 4C1F2A0123;',
  'X-Trasporto: posta-certificata',
  'Message-ID: <opec1.20241205000210.01234.56.1.1@pec.alfa.example>',
  'X-Riferimento-Message-ID: <client-1@alfa.example>',
  'Content-Type: multipart/signed; boundary="s"',
  '',
  '--s',
  'Message-ID: <inner@alfa.example>',
  '',
  '--s--',
  '',
];
const END = [`${POSTFIX_BOUNDARY}--`, ''];
const postfix = lines(...POSTFIX_HEADER, ...NOTIFICATION, ...STATUS, ...RETURNED, ...END);
const told = {
  messageId: '<opec1.20241205000210.01234.56.1.1@pec.alfa.example>',
  recipients: [
    { recipient: 'nessuno@pec.beta.example', action: 'failed', status: '5.1.1' },
    { recipient: 'bruno@pec.gamma.example', action: 'delayed', status: '4.4.1' },
  ],
};

const exchange = lines(
  'From: <postmaster@beta.example>',
  'To: <anna@pec.alfa.example>',
  'Subject: Undeliverable: POSTA CERTIFICATA: Offerta',
  'MIME-Version: 1.0',
  'Content-Type: multipart/report; report-type="delivery-status";',
  '\tboundary="_000_b7c1beta_"',
  'X-MS-Exchange-Message-Is-Ndr:',
  '',
  '--_000_b7c1beta_',
  'Content-Type: multipart/alternative; differences=Content-Type; boundary="_001_"',
  '',
  '--_001_',
  'Content-Type: text/html; charset="us-ascii"',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  '<p>Your message wasn=92t delivered.</p>',
  '--_001_--',
  '--_000_b7c1beta_',
  'Content-Type: message/delivery-status',
  '',
  'Reporting-MTA: dns;EXCH01.beta.example',
  'Received-From-MTA: dns;mx.alfa.example',
  'Arrival-Date: Wed, 4 Dec 2024 23:02:11 +0000',
  '',
  'Original-Recipient: rfc822;Mario@beta.example',
  'Final-Recipient: RFC822;<Mario@BETA.example>',
  'Action: Failed',
  'Status: 5.2.2 (mailbox full)',
  'Diagnostic-Code: smtp;554 5.2.2 mailbox full;',
  'X-Display-Name: Mario Rossi',
  '',
  '--_000_b7c1beta_',
  'Content-Type: text/rfc822-headers',
  '',
  'Received: from EXCH02.beta.example by EXCH01.beta.example;',
  'Message-ID:',
  ' <opec1.2@pec.alfa.example>',
  'Subject: POSTA CERTIFICATA: Offerta',
  '--_000_b7c1beta_--',
);

test('RFC 3464: a bounce of Postfix, with the whole message', () => {
  assert.deepEqual(read(postfix), told);
});

test('RFC 3464: a bounce of Exchange, with the header of the message', () => {
  assert.deepEqual(read(exchange), {
    messageId: '<opec1.2@pec.alfa.example>',
    recipients: [{ recipient: 'Mario@beta.example', action: 'failed', status: '5.2.2' }],
  });
});

const status = (...block: string[]) => lines(...POSTFIX_HEADER, ...STATUS.slice(0, 6), '', ...block, ...END);

test('RFC 3464, RFC 6533: other spellings of the same', async t => {
  const base64 = (part: readonly string[]) => [
    ...part.slice(0, 3),
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(part.slice(4).join('\n')).toString('base64'),
  ];
  const rows: [string, string][] = [
    ['the returned message first', lines(...POSTFIX_HEADER, ...RETURNED, ...STATUS, ...END)],
    ['no closing delimiter', lines(...POSTFIX_HEADER, ...STATUS, ...RETURNED)],
    [
      'in other cases',
      postfix.replace('delivery-status;', 'Delivery-Status;').replaceAll('message/', 'Message/'),
    ],
    ['utf-8 variants', postfix.replaceAll('message/', 'message/global-').replace('global-rfc822', 'global')],
    ['only headers', postfix.replace('message/rfc822', 'message/rfc822-headers')],
    ['only headers, utf-8', postfix.replace('message/rfc822', 'message/global-headers')],
    ['type utf-8', postfix.replaceAll('-Recipient: rfc822;', '-Recipient: utf-8;')],
    ['blanks in the blank lines', postfix.replaceAll('\r\n\r\nFinal', '\r\n \t\r\nFinal')],
    ['all in base64', lines(...POSTFIX_HEADER, ...base64(STATUS), ...base64(RETURNED), ...END)],
    ['a message larger than what is kept', postfix.replace('--s--', 'x\r\n\r\n'.repeat(50_000))],
    [
      'a second report inside',
      lines(...POSTFIX_HEADER, ...STATUS, ...RETURNED, ...STATUS.slice(0, 8), ...END),
    ],
  ];
  for (const [name, message] of rows) await t.test(name, () => assert.deepEqual(read(message), told));
});

test('RFC 3464 §2.3: a recipient needs an address, an action and a status', async t => {
  const anna = { recipient: 'anna@pec.alfa.example', action: 'failed', status: '5.0.0' };
  const rest = ['Action: failed', 'Status: 5.0.0', ''];
  const final = 'Final-Recipient: rfc822; anna@pec.alfa.example';
  const rows: [string, string[], (typeof anna)[] | undefined][] = [
    ['a whole one', [final, ...rest], [anna]],
    [
      'the original recipient where the final one is not readable',
      ['Final-Recipient: x400; /c=it', 'Original-Recipient: rfc822;anna@pec.alfa.example', ...rest],
      [anna],
    ],
    ['no address', rest, undefined],
    ['an address that is none', ['Final-Recipient: rfc822; anna', ...rest], undefined],
    ['no type of address', ['Final-Recipient: anna@pec.alfa.example', ...rest], undefined],
    ['no action', [final, 'Status: 5.0.0', ''], undefined],
    ['no status', [final, 'Action: failed', ''], undefined],
    ['a status that is none', [final, 'Action: failed', 'Status: 550', ''], undefined],
    ['one block that cannot be used', [final, '', final, ...rest], [anna]],
  ];
  for (const [name, block, expected] of rows) {
    await t.test(name, () => assert.deepEqual(read(status(...block)), expected && { recipients: expected }));
  }
});

test('a block that was cut off is not taken for a whole one', () => {
  const block = (n: number) =>
    lines(`Final-Recipient: rfc822; user${n}@pec.beta.example`, 'Action: failed', 'Status: 5.1.1', '', '');
  const whole = Array.from({ length: 2000 }, (_, n) => block(n)).join('');
  const { recipients } = read(status(whole)) ?? assert.fail();
  assert.ok(recipients.length > 500 && recipients.length < 1000);
  for (const [n, { recipient }] of recipients.entries()) assert.equal(recipient, `user${n}@pec.beta.example`);
  const returned = postfix.replace('Message-ID: <opec1', `${'X: y\r\n'.repeat(20_000)}Message-ID: <opec1`);
  assert.deepEqual(read(returned), { recipients: told.recipients });
});

test('RFC 6522: what is no delivery status notification', async t => {
  const rows: [string, string][] = [
    ['nothing', ''],
    ['a header alone', 'Content-Type: multipart/report; report-type=delivery-status; boundary=b'],
    ['plain text', postfix.replace('multipart/report', 'text/plain')],
    [
      'a receipt of reading',
      postfix.replace('report-type=delivery-status', 'report-type=disposition-notification'),
    ],
    ['no report type', postfix.replace(' report-type=delivery-status;', '')],
    ['no boundary', postfix.replace(/\tboundary=.*/, '\tx=y')],
    ['two Content-Type fields', `Content-Type: text/plain\r\n${postfix}`],
    ['no report inside', lines(...POSTFIX_HEADER, ...RETURNED, ...END)],
    [
      'an unknown encoding',
      postfix.replace('delivery-status\r\n\r\n', 'delivery-status\r\nContent-Transfer-Encoding: x\r\n\r\n'),
    ],
    ['a header over the limit', 'X: y\r\n'.repeat(20_000) + postfix],
    [
      'a bounce inside a message',
      lines(
        'Content-Type: multipart/mixed; boundary=m',
        '',
        '--m',
        'Content-Type: message/rfc822',
        '',
        postfix,
        '--m--',
      ),
    ],
  ];
  for (const [name, message] of rows) await t.test(name, () => assert.equal(read(message), undefined));
});

test('the answer does not depend on the chunks, and nothing throws', () => {
  const mangled = fc
    .tuple(fc.constantFrom(postfix, exchange), fc.array(fc.tuple(fc.nat(4000), fc.nat(60)), { maxLength: 4 }))
    .map(([message, gaps]) =>
      Buffer.from(
        gaps.reduce((so, [at, length]) => so.slice(0, at) + so.slice(at + length), message),
        'latin1',
      ),
    );
  const pieces = bytesOf(
    '\r\n',
    '\r\n\r\n',
    '\r\n--b\r\n',
    '\r\n--b--',
    'Content-Type: message/delivery-status',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: quoted-printable',
    'Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1',
    'Message-ID: <a@b.example>',
  ).map(body =>
    Buffer.concat([
      Buffer.from('Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n'),
      body,
    ]),
  );
  fc.assert(
    fc.property(fc.oneof(mangled, pieces), sizes, (message, cuts) => {
      assert.deepEqual(read(message, cuts), read(message));
    }),
    { numRuns: 500 },
  );
});
