// Signatures that openssl accepts, and keys that are refused. RFC 5652 §5
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { certify, type Issued } from '../../src/demo/pki.ts';
import { instant } from '../../src/pec/values.ts';
import { encode, parse } from '../../src/smime/asn1.ts';
import { pemSigner, rfc822Names, signDigest } from '../../src/smime/sign.ts';
import { readSignature, verifySignature } from '../../src/smime/verify.ts';

const run = promisify(execFile);
const content = Buffer.from('Content-Type: text/plain\r\n\r\nà\r\n.\r\n', 'latin1');
const sha256 = createHash('sha256').update(content).digest();
const at = instant(Date.UTC(2024, 11, 4, 23, 2, 10));
let directory: string;
let issued: Record<'rsa2048' | 'rsa3072' | 'p256' | 'rsa1024', Issued>;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-sign-'));
  const make = (file: string, key: `rsa:${number}` | `ec:${string}`) =>
    certify({
      directory,
      file,
      key,
      subject: { C: 'IT', O: 'Alfa PEC', CN: 'Posta Certificata' },
      extensions: [
        'keyUsage=critical,digitalSignature',
        'subjectAltName=email:a@x.example,DNS:x,email:b@y.example',
      ],
    });
  const [rsa2048, rsa3072, p256, rsa1024] = await Promise.all([
    make('rsa2048', 'rsa:2048'),
    make('rsa3072', 'rsa:3072'),
    make('p256', 'ec:P-256'),
    make('rsa1024', 'rsa:1024'),
  ]);
  issued = { rsa2048, rsa3072, p256, rsa1024 };
});
after(() => rm(directory, { recursive: true }));

const certificateOf = (name: keyof typeof issued) => readFile(issued[name].certificate, 'utf8');
const keyOf = (name: keyof typeof issued) => readFile(issued[name].key, 'utf8');
const signerOf = async (name: keyof typeof issued) => pemSigner(await certificateOf(name), await keyOf(name));

describe('signDigest', () => {
  for (const name of ['rsa2048', 'rsa3072', 'p256'] as const) {
    it(`makes what openssl cms -verify accepts: ${name}`, async () => {
      const files = { signature: join(directory, `${name}.p7s`), content: join(directory, `${name}.bin`) };
      await writeFile(files.signature, await signDigest(sha256, at, await signerOf(name)));
      await writeFile(files.content, content);
      const detached = ['-binary', '-inform', 'DER', '-in', files.signature, '-content', files.content];
      const trust = [
        '-CAfile',
        issued[name].certificate,
        '-partial_chain',
        '-out',
        join(directory, `${name}.out`),
      ];
      await run('openssl', ['cms', '-verify', ...detached, ...trust]);
      assert.deepEqual(await readFile(join(directory, `${name}.out`)), content);
      await writeFile(files.content, 'something else');
      await assert.rejects(run('openssl', ['cms', '-verify', ...detached, ...trust]), /digest|verify/i);
    });
  }

  it('gives the same bytes for the same digest and instant', async () => {
    const signer = await signerOf('rsa2048');
    assert.deepEqual(await signDigest(sha256, at, signer), await signDigest(sha256, at, signer));
  });

  it('writes DER, the signed attributes in the order of SET OF', async () => {
    const signer = await signerOf('p256');
    let toBeSigned: Buffer = Buffer.alloc(0);
    const sign = (data: Buffer) => {
      toBeSigned = data;
      return signer.sign(data);
    };
    const der = await signDigest(sha256, at, { ...signer, sign });
    assert.deepEqual(encode(parse(der)), der);
    const set = parse(toBeSigned).value;
    assert.ok(typeof set !== 'string');
    const attributes = set.map(encode);
    assert.equal(attributes.length, 3);
    assert.deepEqual(attributes.toSorted(Buffer.compare), attributes);
  });

  for (const [year, tag] of [
    [1949, 24],
    [1970, 23],
    [2049, 23],
    [2050, 24],
  ] as const) {
    it(`states a signing time of ${year} as §11.3 says`, async () => {
      const then = instant(Date.UTC(year, 0, 2, 3, 4, 5));
      const der = await signDigest(sha256, then, await signerOf('p256'));
      assert.equal(verifySignature(readSignature(der), () => sha256).signingTime, then);
      const text = tag === 23 ? `${String(year).slice(2)}0102030405Z` : `${year}0102030405Z`;
      assert.ok(der.includes(Buffer.concat([Buffer.of(tag, text.length), Buffer.from(text)])));
    });
  }

  it('carries every certificate as it is', async () => {
    const pem = (await certificateOf('p256')) + (await certificateOf('rsa2048'));
    const signer = pemSigner(pem, await keyOf('p256'));
    const { certificates } = readSignature(await signDigest(sha256, at, signer));
    assert.deepEqual(certificates, signer.certificates);
  });
});

describe('pemSigner', () => {
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'secret' };
  const rows: readonly [string, () => Promise<[string, string | Buffer]>, RegExp][] = [
    ['no certificate', async () => ['', await keyOf('p256')], /no PEM certificate/],
    [
      'garbage for a certificate',
      async () => ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', await keyOf('p256')],
      /certificate cannot be read/,
    ],
    ['garbage for a key', async () => [await certificateOf('p256'), 'x'], /no PEM private key/],
    [
      'the key of another',
      async () => [await certificateOf('p256'), await keyOf('rsa2048')],
      /does not belong/,
    ],
    [
      'an encrypted key',
      async () => [
        await certificateOf('p256'),
        generateKeyPairSync('ed25519').privateKey.export({ ...pkcs8, ...encrypted }),
      ],
      /encrypted/,
    ],
    [
      'an encrypted key in the old form',
      async () => [
        await certificateOf('p256'),
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
          type: 'sec1',
          format: 'pem',
          ...encrypted,
        }),
      ],
      /encrypted/,
    ],
    [
      'a key of another type',
      async () => [await certificateOf('p256'), generateKeyPairSync('ed25519').privateKey.export(pkcs8)],
      /type ed25519/,
    ],
    ['a short key', async () => [await certificateOf('rsa1024'), await keyOf('rsa1024')], /1024 bits/],
  ];
  for (const [name, texts, message] of rows) {
    it(`refuses ${name}`, async () => {
      const [certificate, key] = await texts();
      assert.throws(
        () => pemSigner(certificate, String(key)),
        (error: Error) => message.test(error.message) && !error.message.includes('\n'),
      );
    });
  }
});

describe('rfc822Names', () => {
  it('gives the mail addresses of the subjectAltName, in order', async () => {
    const [leaf] = (await signerOf('p256')).certificates;
    assert.ok(leaf);
    assert.deepEqual(rfc822Names(leaf), ['a@x.example', 'b@y.example']);
  });

  it('gives none of what is no certificate', () => {
    assert.deepEqual(rfc822Names(Buffer.from('no')), []);
    assert.deepEqual(rfc822Names(Buffer.of(0x30, 0)), []);
  });
});

it('the keys that are made are for their owner alone', async () => {
  for (const { key } of Object.values(issued)) assert.equal((await stat(key)).mode & 0o777, 0o600);
});
