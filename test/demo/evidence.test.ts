// The checks of the demo notice what they are there to notice: a good message passes, a forged or malformed one does not
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { evidenceOf } from '../../src/demo/evidence.ts';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { makePki } from '../../src/demo/pki.ts';
import { certificationXml } from '../../src/pec/certification-data.ts';
import { instant, type Mailbox, type PecMsgid } from '../../src/pec/values.ts';

const folder = await temporaryFolder('pecd-evidence-test');
after(() => folder[Symbol.asyncDispose]());
const pki = await makePki(folder.path, { domains: ['pec.beta.example'], organizations: ['Beta PEC'] });
const address = 'posta-certificata@pec.beta.example';
const { certificate, key } = await pki.issue({ file: 'beta', organization: 'Beta PEC', address });

const DATA = certificationXml({
  tipo: 'avvenuta-consegna',
  about: {
    pecMsgid: 'id@pec.alfa.example' as PecMsgid,
    sender: 'anna@pec.alfa.example' as Mailbox,
    recipients: [
      { address: 'bruno@pec.beta.example' as Mailbox, kind: 'certificato' },
      { address: 'mario@ordinary.example' as Mailbox, kind: 'esterno' },
    ],
    replyTo: 'anna@pec.alfa.example',
  },
  provider: 'Beta PEC',
  at: instant(1_700_000_000_000),
  ricevuta: 'completa',
  consegna: 'bruno@pec.beta.example' as Mailbox,
  ricezione: [],
});

/** A message of three parts signed by openssl, as a mail store that ends lines in LF keeps it; resolves to its file. */
async function received(name: string, data: string, forge = (message: string) => message): Promise<string> {
  const part = (type: string, file: string, content: string, encoding = '7bit') =>
    `--B\n${type}\nContent-Disposition: inline; filename="${file}"\nContent-Transfer-Encoding: ${encoding}\n\n${content}\n`;
  const original = `Subject: x\nContent-Type: multipart/mixed; boundary=C\n\n--C\n\ntext\n--C
Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=a\nContent-Transfer-Encoding: base64

${Buffer.from('attached').toString('base64')}\n--C--`;
  const content = [
    'Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain; charset=ISO-8859-1\n\nper te\n',
    part('Content-Type: application/xml', 'daticert.xml', Buffer.from(data).toString('base64'), 'base64'),
    part('Content-Type: message/rfc822', 'postacert.eml', original),
    '--B--\n',
  ].join('');
  const file = join(folder.path, name);
  await writeFile(`${file}.content`, content);
  const chain = (await readFile(certificate, 'utf8')).split(/(?<=-----END CERTIFICATE-----\n)/);
  await writeFile(`${file}.chain`, chain.slice(1).join(''));
  await promisify(execFile)('openssl', [
    ...['cms', '-sign', '-in', `${file}.content`, '-signer', certificate, '-inkey', key],
    ...['-certfile', `${file}.chain`, '-out', `${file}.signed`],
  ]);
  const signed = (await readFile(`${file}.signed`, 'latin1')).replaceAll('\r\n', '\n');
  await writeFile(file, forge(`Received: by mx\nX-Ricevuta: avvenuta-consegna\n${signed}`), 'latin1');
  return file;
}

test('a good message: who signed it, and what it certifies', async () => {
  assert.deepEqual(await evidenceOf(await received('good', DATA), pki.anchors), {
    signer: address,
    parts: ['daticert.xml', 'postacert.eml'],
    text: 'per te',
    attachments: [createHash('sha256').update('attached').digest('hex')],
    certified: {
      tipo: 'avvenuta-consegna',
      destinatari: [
        { address: 'bruno@pec.beta.example', tipo: 'certificato' },
        { address: 'mario@ordinary.example', tipo: 'esterno' },
      ],
      identificativo: 'id@pec.alfa.example',
      consegna: 'bruno@pec.beta.example',
      ricezione: [],
    },
  });
});

test('one changed character of the signed content is noticed', async () => {
  const file = await received('forged', DATA, message => message.replace('per te', 'per me'));
  await assert.rejects(evidenceOf(file, pki.anchors), /verification failure|digest/i);
});

test('a signature that does not lead to the root is noticed', async () => {
  const stranger = join(folder.path, 'stranger.pem');
  const subject = ['-subj', '/CN=stranger', '-keyout', join(folder.path, 'stranger.key'), '-out', stranger];
  await promisify(execFile)('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject]);
  await assert.rejects(
    evidenceOf(await received('untrusted', DATA), stranger),
    /unable to get|verify error/i,
  );
});

test('certification data that the DTD forbids are noticed', async () => {
  const wrong = DATA.replace(/<identificativo>.*<\/identificativo>\n/, '');
  assert.notEqual(wrong, DATA);
  await assert.rejects(evidenceOf(await received('invalid', wrong), pki.anchors), /does not follow the DTD/);
});
