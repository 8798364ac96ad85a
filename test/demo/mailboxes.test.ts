// Maildirs as the demo watches them: each message once, whatever a mail client does to it
import assert from 'node:assert/strict';
import { mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';

test('mail is seen once, oldest first, by kind and decoded subject', async () => {
  await using folder = await temporaryFolder('pecd-maildir');
  const maildir = (user: string) => join(folder.path, user);
  const arrived = newMail(
    new Map([
      ['a@x.example', maildir('a')],
      ['b@x.example', maildir('b')],
    ]),
  );
  const put = async (user: string, name: string, text: string, second: number) => {
    await mkdir(join(maildir(user), 'new'), { recursive: true });
    await writeFile(join(maildir(user), 'new', name), text);
    await utimes(join(maildir(user), 'new', name), second, second);
  };
  assert.deepEqual(await arrived(), [], 'no maildir, no mail');

  await put(
    'a',
    '2',
    'X-Ricevuta: accettazione\r\nSubject: =?UTF-8?Q?Cos=C3=AC?=\r\n\r\nSubject: no\r\n',
    1002,
  );
  await put('b', '1', 'Received: x\nx-trasporto: errore\nSubject: ANOMALIA\n\nbody\n', 1001);
  await put('a', '3', 'Subject: the same file\n\n', 1004);
  await put('b', '3', 'Subject: X-Ricevuta\n\nX-Ricevuta: accettazione\n', 1003);
  const seen = (await arrived()).map(({ at, mailbox, kind, subject }) => [
    at.getTime(),
    mailbox,
    kind,
    subject,
  ]);
  assert.deepEqual(seen, [
    [1_001_000, 'b@x.example', 'errore', 'ANOMALIA'],
    [1_002_000, 'a@x.example', 'accettazione', 'Così'],
    [1_003_000, 'b@x.example', 'ordinary', 'X-Ricevuta'],
    [1_004_000, 'a@x.example', 'ordinary', 'the same file'],
  ]);

  await mkdir(join(maildir('b'), 'cur'));
  await rename(join(maildir('b'), 'new', '1'), join(maildir('b'), 'cur', '1:2,S'));
  await put('b', '4', 'Subject: new\n\n', 1005);
  assert.deepEqual(
    (await arrived()).map(({ subject }) => subject),
    ['new'],
  );
});
