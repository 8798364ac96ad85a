// Signatures as openssl and other providers make them, and every way in which one can be wrong. RFC 5652 §5
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { type Issued, makePki } from '../../src/demo/pki.ts';
import { instant } from '../../src/pec/values.ts';
import {
  children,
  encode,
  isUniversal,
  type Node,
  nothing,
  octetString,
  octetsOf,
  oid,
  parse,
  primitive,
  sequence,
  sequenceOf,
  set,
  setAround,
  setOf,
} from '../../src/smime/asn1.ts';
import { checkPath } from '../../src/smime/certificate-path.ts';
import { rfc822Names } from '../../src/smime/sign.ts';
import { type DigestName, readSignature, SignatureError, verifySignature } from '../../src/smime/verify.ts';

const run = promisify(execFile);
const content = Buffer.from('Content-Type: text/plain\r\n\r\nuno\r\n');
const digestOf = (name: DigestName) => createHash(name).update(content).digest();
let directory: string;
let anchor: Buffer;
let rsa: Issued & { der: Buffer };
let p256: Issued & { der: Buffer };
let other: Issued & { der: Buffer };

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-verify-'));
  const pki = await makePki(directory, { domains: ['pec.alfa.example'], organizations: ['Alfa PEC'] });
  const leaf = { organization: 'Alfa PEC', address: 'posta-certificata@pec.alfa.example' };
  [rsa, p256, other] = await Promise.all([
    pki.issue({ ...leaf, file: 'rsa' }),
    pki.issue({ ...leaf, file: 'p256', algorithm: 'p256' }),
    pki.issue({ ...leaf, file: 'other', algorithm: 'p256' }),
  ]);
  anchor = new X509Certificate(await readFile(pki.anchors)).raw;
  await writeFile(join(directory, 'content'), content);
});
after(() => rm(directory, { recursive: true }));

let files = 0;
/** What `openssl cms` (or `smime`) -sign makes of the content, in DER. */
async function opensslSigned(signer: Issued, options: readonly string[], command = 'cms'): Promise<Buffer> {
  const out = join(directory, `${files++}.p7s`);
  const who = [
    '-signer',
    signer.certificate,
    '-inkey',
    signer.key,
    '-certfile',
    join(directory, 'intermediate.crt'),
  ];
  const what = ['-sign', '-binary', '-in', join(directory, 'content'), '-outform', 'DER', '-out', out];
  await run('openssl', [command, ...what, ...who, ...options]);
  return readFile(out);
}

function refused(der: Buffer, reason: RegExp, digests: (name: DigestName) => Buffer | undefined = digestOf) {
  assert.throws(
    () => verifySignature(readSignature(der), digests),
    (error: unknown) => {
      assert.ok(error instanceof SignatureError, String(error));
      assert.match(error.message, reason);
      return true;
    },
  );
}

describe('what openssl signs is accepted', () => {
  const digests = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
  for (const digest of digests) {
    for (const [name, options] of [
      ['plain', []],
      ['without S/MIME capabilities', ['-nosmimecap']],
      ['signer by key identifier', ['-keyid']],
      ['without signed attributes', ['-noattr']],
    ] as const) {
      it(`RSA, ${digest}, ${name}`, async () => {
        const signature = readSignature(await opensslSigned(rsa, ['-md', digest, ...options]));
        const { signingTime, certificates, ...verified } = verifySignature(signature, digestOf);
        assert.deepEqual(verified, {
          certificate: rsa.der,
          digest,
          signatureAlgorithm: 'rsaEncryption',
        });
        assert.equal(signingTime === undefined, name === 'without signed attributes');
        assert.ok(certificates.length >= 2);
      });
    }
    it(`P-256, ${digest}`, async () => {
      const signature = readSignature(await opensslSigned(p256, ['-md', digest]));
      const { certificate, signatureAlgorithm } = verifySignature(signature, digestOf);
      assert.deepEqual(certificate, p256.der);
      assert.equal(signatureAlgorithm, `ecdsa-with-${digest.toUpperCase()}`);
    });
  }

  it('as PKCS#7, with parameters of NULL', async () => {
    verifySignature(readSignature(await opensslSigned(rsa, ['-md', 'sha256'], 'smime')), digestOf);
  });

  it('as sha256WithRSAEncryption', async () => {
    const tree = parse(await opensslSigned(rsa, ['-md', 'sha256']));
    const { signerInfo } = partsOf(tree);
    signerInfo[4] = sequence(oid('1.2.840.113549.1.1.11'), nothing());
    const { signatureAlgorithm } = verifySignature(readSignature(encode(tree)), digestOf);
    assert.equal(signatureAlgorithm, 'sha256WithRSAEncryption');
  });

  it('and its path leads to the anchor', async () => {
    const { certificate, certificates } = readSignature(await opensslSigned(rsa, []));
    assert.equal(checkPath(certificate, certificates, [anchor], instant(Date.now())).ok, true);
  });
});

describe('BER', () => {
  it('with indefinite lengths and values in pieces', async () => {
    const ber = indefinite(parse(await opensslSigned(rsa, ['-md', 'sha256'])));
    const file = join(directory, 'ber.p7s');
    await writeFile(file, ber);
    const { stdout } = await run('openssl', ['asn1parse', '-inform', 'DER', '-in', file]);
    assert.match(stdout, /l=inf {2}cons: OCTET STRING/);
    const detached = ['-binary', '-inform', 'DER', '-in', file, '-content', join(directory, 'content')];
    const trust = ['-CAfile', join(directory, 'root.crt'), '-purpose', 'smimesign'];
    await run('openssl', ['cms', '-verify', ...detached, ...trust]);
    assert.deepEqual(verifySignature(readSignature(ber), digestOf).certificate, rsa.der);
  });
});

/** The tree in BER: all that need not be DER of indefinite length, octet strings in two pieces. */
function indefinite(node: Node, depth = 0): Buffer {
  const mustBeDer = Number(node.tagClass) === 0x80 && depth > 2;
  if (isUniversal(node, 4)) {
    const octets = octetsOf(node);
    const pieces = [octets.subarray(0, 100), octets.subarray(100)].map(piece => encode(octetString(piece)));
    return Buffer.concat([Buffer.of(0x24, 0x80), ...pieces, Buffer.of(0, 0)]);
  }
  if (mustBeDer || typeof node.value === 'string') return encode(node);
  const tag = Number(node.tagClass) | 0x20 | Number(node.type);
  return Buffer.concat([
    Buffer.of(tag, 0x80),
    ...node.value.map(child => indefinite(child, depth + 1)),
    Buffer.of(0, 0),
  ]);
}

describe('what cannot be a detached signature by one signer is refused', () => {
  const rows: readonly [string, () => Promise<Buffer>, RegExp][] = [
    ['nothing', async () => Buffer.alloc(0), /malformed/],
    ['text', async () => Buffer.from('-----BEGIN PKCS7-----'), /malformed/],
    ['a truncated one', async () => (await opensslSigned(p256, [])).subarray(0, -1), /malformed/],
    [
      'one with bytes behind',
      async () => Buffer.concat([await opensslSigned(p256, []), Buffer.of(0)]),
      /malformed/,
    ],
    ['content along with it', () => opensslSigned(p256, ['-nodetach']), /brings its content/],
    ['content in a stream', () => opensslSigned(p256, ['-nodetach', '-stream']), /brings its content/],
    ['no certificate', () => opensslSigned(p256, ['-nocerts']), /certificate is not included/],
    [
      'two signers',
      () => opensslSigned(rsa, ['-signer', p256.certificate, '-inkey', p256.key]),
      /one signer/,
    ],
    ['MD5', () => opensslSigned(rsa, ['-md', 'md5']), /unknown digest algorithm 1\.2\.840\.113549\.2\.5/],
    [
      'RSA-PSS',
      () => opensslSigned(rsa, ['-keyopt', 'rsa_padding_mode:pss']),
      /signature algorithm .*\.1\.1\.10$/,
    ],
    ['ECDSA without attributes', () => opensslSigned(p256, ['-noattr']), /ecdsa-with-SHA256 without signed/],
    [
      'another content type',
      () => opensslSigned(p256, ['-econtent_type', '1.2.3']),
      /not a signature over data/,
    ],
    ['a certificate', async () => rsa.der, /malformed/],
    [
      'eleven certificates',
      async () => {
        const tree = parse(await opensslSigned(p256, []));
        const bag = sequenceOf(children(sequenceOf(tree)[1])[0])[3];
        while (children(bag).length < 11) children(bag).push(parse(p256.der));
        return encode(tree);
      },
      /more than 10 certificates/,
    ],
    ['over 1 MiB', async () => Buffer.alloc((1 << 20) + 1), /over 1048576 bytes/],
    ['levels without end', async () => Buffer.alloc(1 << 20, Buffer.of(0x30, 0x80)), /depth/],
    ['elements without end', async () => Buffer.alloc(1 << 20, Buffer.of(0x05, 0x00)), /malformed/],
  ];
  for (const [name, make, reason] of rows) it(name, async () => refused(await make(), reason));
});

describe('what does not hold is refused', () => {
  it('another content', async () => {
    const der = await opensslSigned(rsa, []);
    refused(der, /digest differs/, name => createHash(name).update('due').digest());
    refused(der, /sha256 is not supported/, () => undefined);
  });

  it('another content, without signed attributes', async () => {
    const der = await opensslSigned(rsa, ['-noattr']);
    refused(der, /value of the signature/, name => createHash(name).update('due').digest());
  });

  for (const [name, change] of [
    ['signature', ({ value }: Parts) => octetsOf(value).subarray(-8)],
    [
      'signed attribute',
      ({ attributes }: Parts) => /\d{12}Z/.exec(encode(attributes).toString('latin1'))?.[0],
    ],
  ] as const) {
    it(`a changed ${name}`, async () => {
      for (const signer of [rsa, p256]) {
        const der = await opensslSigned(signer, []);
        const found = change(partsOf(parse(der)));
        assert.ok(found);
        const place = der.lastIndexOf(found);
        assert.ok(place > 0);
        der[place] = (der[place] ?? 0) ^ 1;
        refused(der, /value of the signature is wrong/);
      }
    });
  }

  it('the key of another under the same issuer and serial number', async () => {
    const der = await opensslSigned(p256, []);
    const key = (certificate: Buffer) =>
      new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
    const place = der.indexOf(key(p256.der));
    assert.ok(place > 0);
    key(other.der).copy(der, place);
    refused(der, /value of the signature is wrong/);
  });

  it('an algorithm that the key is not for', async () => {
    const { certificate } = readSignature(await opensslSigned(p256, []));
    const parsed = { ...readSignature(await opensslSigned(rsa, [])), certificate };
    assert.throws(() => verifySignature(parsed, digestOf), /rsaEncryption by a key of type ec/);
  });
});

interface Parts {
  readonly attributes: Node;
  readonly value: Node;
  readonly signerInfo: Node[];
}

function partsOf(contentInfo: Node): Parts {
  const [, wrapped] = sequenceOf(contentInfo);
  assert.ok(wrapped);
  const signerInfo = sequenceOf(setOf(sequenceOf(children(wrapped)[0]).at(-1))[0]);
  const [attributes, , value] = signerInfo.slice(3);
  assert.ok(attributes && value);
  return { attributes, value, signerInfo };
}

describe('signed attributes', () => {
  /** A signature whose signed attributes were rearranged, and which was made anew. */
  async function resigned(rearrange: (attributes: Node[]) => void): Promise<Buffer> {
    const tree = parse(await opensslSigned(p256, ['-nosmimecap']));
    const { attributes, signerInfo } = partsOf(tree);
    rearrange(children(attributes));
    const signed = encode(setAround(Buffer.concat(children(attributes).map(encode))));
    signerInfo[5] = octetString(sign('sha256', signed, createPrivateKey(await readFile(p256.key))));
    return encode(tree);
  }
  const named = (hex: string) => (node: Node) => encode(node).includes(Buffer.from(hex, 'hex'));
  const [contentType, messageDigest] = [named('2a864886f70d010903'), named('2a864886f70d010904')];

  it('are verified in the order in which they came', async () => {
    const der = await resigned(attributes => attributes.reverse());
    assert.deepEqual(verifySignature(readSignature(der), digestOf).certificate, p256.der);
  });

  for (const text of ['241399000000Z', '2412040002Z', 'now']) {
    it(`must not hold ${text} for a signingTime`, async () => {
      const der = await resigned(list => {
        list.splice(list.findIndex(named('2a864886f70d010905')), 1);
        list.push(sequence(oid('1.2.840.113549.1.9.5'), set(primitive(23, text))));
      });
      refused(der, /signingTime that is no time/);
    });
  }

  for (const [name, wanted, reason] of [
    ['contentType', contentType, /do not say that data is signed/],
    ['messageDigest', messageDigest, /no messageDigest/],
  ] as const) {
    it(`must hold ${name} once`, async () => {
      const without = await resigned(list => list.splice(list.findIndex(wanted), 1));
      refused(without, reason);
      const twice = await resigned(list => list.push(...list.filter(wanted)));
      refused(twice, new RegExp(`not exactly one ${name}`));
    });
  }
});

describe('hostile bytes', () => {
  it('are a SignatureError or a signature, never anything else', async () => {
    const samples = await Promise.all([
      opensslSigned(rsa, []),
      opensslSigned(p256, ['-keyid']),
      opensslSigned(rsa, ['-noattr']),
    ]);
    samples.push(indefinite(parse(samples[0] as Buffer)));
    const at = instant(Date.now());
    const mutation = fc.record({
      sample: fc.constantFrom(...samples),
      changes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      cut: fc.option(fc.tuple(fc.nat(), fc.nat({ max: 40 }))),
    });
    fc.assert(
      fc.property(mutation, ({ sample, changes, cut }) => {
        let der = Buffer.from(sample);
        for (const [place, byte] of changes) der[place % der.length] = byte;
        if (cut) {
          const start = cut[0] % der.length;
          der = Buffer.concat([der.subarray(0, start), der.subarray(start + cut[1])]);
        }
        try {
          const { certificate, certificates } = verifySignature(readSignature(der), digestOf);
          rfc822Names(certificate);
          checkPath(certificate, certificates, [anchor], at);
        } catch (error) {
          assert.ok(error instanceof SignatureError, (error as Error).stack);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
