// `pecd check` with a real Redis, certificates from openssl, and mail servers that answer or do not
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { check } from '../../src/commands/check.ts';
import { certify } from '../../src/demo/pki.ts';
import { type Installation, install } from '../commands/installation.ts';
import { startRedis, type TestRedis } from '../redis.ts';

let home: Installation;
let redis: TestRedis;
before(async () => {
  [home, redis] = await Promise.all([install(), startRedis({ 'maxmemory-policy': 'noeviction' })]);
});
after(async () => {
  await redis[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

interface Row {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Runs the check in both forms; resolves with the exit code and the rows. */
async function checked(file: string): Promise<{ code: number; rows: Row[] }> {
  const [text, json] = await Promise.all([check({ file, json: false }), check({ file, json: true })]);
  const rows: Row[] = JSON.parse(json.output);
  assert.equal(
    text.output,
    rows.map(row => `${row.ok ? 'ok  ' : 'FAIL'} ${row.check}: ${row.detail}\n`).join(''),
  );
  assert.equal(text.exitCode, json.exitCode);
  return { code: json.exitCode, rows };
}

const failures = (rows: readonly Row[]) =>
  rows.filter(row => !row.ok).map(row => `${row.check}: ${row.detail.replaceAll(home.directory, 'DIR')}`);

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

test('all is well', async () => {
  const mta = new SMTPServer({ disabledCommands: ['AUTH', 'STARTTLS'] });
  const store = new SMTPServer({ lmtp: true, disabledCommands: ['AUTH', 'STARTTLS'] });
  const socket = join(home.directory, 'lmtp');
  try {
    const relay = `smtp://127.0.0.1:${await portOf(mta.server)}`;
    await once(store.server.listen(socket), 'listening');
    const file = await home.configure(
      'good.yaml',
      `redis: {url: '${redis.url}'}
receipts: {relay: '${relay}'}
incoming: {listen: [{address: 127.0.0.1, port: 0, tls: starttls}], relay: '${relay}'}
delivery: {mailStore: 'lmtp:unix:${socket}'}
tls: {certificate: ${home.tls.certificate}, key: ${home.tls.key}}`,
    );
    const { code, rows } = await checked(file);
    assert.deepEqual(failures(rows), []);
    assert.equal(code, 0);
    assert.deepEqual(
      rows.map(row => row.check),
      [
        'configuration',
        'key and certificate',
        'provider.address',
        'anchors',
        'directory',
        'spool',
        'journal',
        'tls',
        'redis',
        relay,
        `lmtp:unix:${socket}`,
      ],
    );
  } finally {
    await Promise.all([mta, store].map(server => new Promise<void>(closed => server.close(() => closed()))));
  }
});

test('what does not answer ends with 69', async () => {
  const busy = createServer(socket => socket.on('error', () => {}).end('421 4.3.2 Not now\r\n'));
  const gone = createServer();
  const closedPort = await portOf(gone);
  await new Promise(closed => gone.close(closed));
  const busyPort = await portOf(busy);
  try {
    const file = await home.configure(
      'unreachable.yaml',
      `redis: {url: 'redis://:secret@127.0.0.1:${closedPort}/0'}
receipts: {relay: 'smtp://127.0.0.1:${busyPort}'}
delivery: {mailStore: 'lmtp://127.0.0.1:${closedPort}'}`,
    );
    const { code, rows } = await checked(file);
    assert.deepEqual(failures(rows), [
      `redis: Redis at redis://127.0.0.1:${closedPort}/0: connection refused`,
      `smtp://127.0.0.1:${busyPort}: Invalid greeting. response=421 4.3.2 Not now: 421 4.3.2 Not now`,
      `lmtp://127.0.0.1:${closedPort}: connection refused`,
    ]);
    assert.equal(code, 69);
  } finally {
    await new Promise(closed => busy.close(closed));
  }
});

test('what does not fit ends with 78, even where something does not answer', async () => {
  await using forgetful = await startRedis({ appendonly: 'no' });
  await writeFile(join(home.directory, 'empty'), '');
  const good = await home.configure('bad.yaml', `redis: {url: '${forgetful.url}'}`);
  const yaml = (await readFile(good, 'utf8'))
    .replace('signing.crt', 'other.crt')
    .replace('root.crt', 'empty')
    .replace('directory.ldif', 'absent.ldif')
    .replace('/spool"', '/empty"')
    .concat(`access: {listen: [{address: 127.0.0.1, port: 0, tls: starttls}], relay: 'smtp://127.0.0.1:1', senders: ${home.directory}/senders}
tls: {certificate: ${home.directory}/other.crt, key: ${home.directory}/signing.key}
receipts: {relay: 'smtp://127.0.0.1:1'}
`);
  await writeFile(good, yaml);
  const { code, rows } = await checked(good);
  assert.deepEqual(
    failures(rows).map(line => line.replace(/ENOENT.*/, 'ENOENT')),
    [
      'key and certificate: the key does not belong to the first certificate',
      'provider.address: posta-certificata@pec.alfa.example is not in the certificate, which names somebody@pec.alfa.example',
      'anchors: trust anchors DIR/empty: no certificate in it',
      'directory: provider directory DIR/absent.ldif: ENOENT',
      'spool: DIR/empty is not a directory',
      'senders: DIR/senders: no such file or directory',
      'tls: DIR/other.crt and DIR/signing.key cannot be used together: key values mismatch',
      'redis: this Redis forgets: it needs appendonly yes',
      'smtp://127.0.0.1:1: connection refused',
    ],
  );
  assert.equal(code, 78);
});

test('a configuration that does not load is the only thing to tell', async () => {
  const file = await home.configure('broken.yaml', 'receipts: {concurrency: 0}\nspoool: /a');
  const { code, rows } = await checked(file);
  assert.equal(code, 78);
  assert.deepEqual(
    rows.map(({ check, ok, detail }) => [
      check,
      ok,
      detail.replace(file, 'FILE').replace(/here: .*/, 'here'),
    ]),
    [
      ['configuration', false, 'FILE:7: receipts.concurrency: must be at least 1'],
      ['configuration', false, 'FILE:8: spoool: unknown key; known here'],
    ],
  );
});

test('a signing certificate that departs from the profile is good, and its line says so (§5.5.2)', async () => {
  const odd = await certify({
    directory: home.directory,
    file: 'odd',
    subject: { C: 'IT', O: 'Alfa PEC', CN: 'Posta Certificata' },
    key: 'rsa:2048',
    extensions: ['keyUsage=digitalSignature', 'subjectAltName=email:posta-certificata@pec.alfa.example'],
  });
  const file = await home.configure('odd.yaml', '');
  const yaml = (await readFile(file, 'utf8')).replace(/^signing: .*$/m, `signing: ${JSON.stringify(odd)}`);
  await writeFile(file, yaml);
  const { rows } = await checked(file);
  const row = rows.find(({ check }) => check === 'key and certificate');
  assert.equal(row?.ok, true);
  assert.match(row?.detail ?? '', /^rsa key, 1 certificates, .*; keyUsage is not critical/);
});
