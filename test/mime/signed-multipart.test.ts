import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { signedMultipart } from '../../src/mime/signed-multipart.ts';
import { messageEntity } from '../../src/mime/write-message.ts';
import { BOUNDARY, plan } from './plan.ts';
import { chunked, collect } from './streams.ts';

const original = Buffer.from('Subject: prova\r\n\r\nciao, senza fine riga');

test('RFC 8551 §3.5.3: openssl verifies the message, and reads the very entity that was signed', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'pecd-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const subject = ['-subj', '/CN=pec.alfa.example', '-addext', 'extendedKeyUsage=emailProtection'];
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    file('key'),
    '-out',
    file('crt'),
    ...subject,
  );

  const entity = await collect(messageEntity(plan(), chunked(original, [7])));
  writeFileSync(file('entity'), entity);
  const message = await collect(
    signedMultipart(plan().header, BOUNDARY, chunked(entity, [100]), async digest => {
      assert.deepEqual(digest, createHash('sha256').update(entity).digest());
      const signer = ['-signer', file('crt'), '-inkey', file('key')];
      openssl(
        'cms',
        '-sign',
        '-binary',
        '-outform',
        'DER',
        '-in',
        file('entity'),
        ...signer,
        '-out',
        file('p7s'),
      );
      return readFileSync(file('p7s'));
    }),
  );
  writeFileSync(file('message'), message);
  openssl('cms', '-verify', '-in', file('message'), '-CAfile', file('crt'), '-out', file('verified'));
  assert.deepEqual(readFileSync(file('verified')), entity);

  writeFileSync(file('message'), Buffer.from(message.toString('latin1').replace('ciao', 'Ciao'), 'latin1'));
  assert.throws(() => openssl('cms', '-verify', '-in', file('message'), '-CAfile', file('crt')));
});

test('a small message is one chunk, in CRLF lines, and ends with one', async () => {
  const entity = messageEntity(plan(), chunked(original, [7]));
  const chunks: Buffer[] = [];
  for await (const chunk of signedMultipart(plan().header, BOUNDARY, entity, async () =>
    Buffer.alloc(3000, 7),
  ))
    chunks.push(chunk);
  assert.equal(chunks.length, 1);
  const text = String(chunks[0]);
  assert.ok(text.startsWith(plan().header));
  assert.ok(text.endsWith(`\r\n--${BOUNDARY}-s--\r\n`));
  assert.doesNotMatch(text, /[^\r]\n|\r[^\n]|[^\r\n]{79}/);
});

test('what the entity or the signer throws, the message throws before its end', async () => {
  const failing = signedMultipart('', BOUNDARY, messageEntity(plan(), chunked(original, [7])), () =>
    Promise.reject(new Error('no key')),
  );
  await assert.rejects(collect(failing), /no key/);
  async function* broken() {
    yield Buffer.alloc(1);
    throw new Error('client gone');
  }
  await assert.rejects(
    collect(signedMultipart('', BOUNDARY, broken(), async () => Buffer.alloc(0))),
    /client gone/,
  );
});
