// Revocation lists made by openssl: what is read of them, what is refused, and what they do to a path. RFC 5280 §5, §6.3
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { certify, type Issued, makePki } from '../../src/demo/pki.ts';
import { instant } from '../../src/pec/values.ts';
import { encode, type Node, octetString, oid, parse, sequence, sequenceOf } from '../../src/smime/asn1.ts';
import { checkPath } from '../../src/smime/certificate-path.ts';
import { CrlError, type Revocation, readCrl } from '../../src/smime/crl.ts';
import { derOfList, type ListRequest, revocationList } from './revocation-list.ts';

const HOUR = 3_600_000;
const now = instant(Date.now());
/** openssl has no fractions of a second. */
const anHourAgo = Math.floor(now / 1000) * 1000 - HOUR;
let directory: string;
let root: Issued;
let intermediate: Issued;
let leaf: Issued;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-crl-'));
  const names = { domains: ['pec.alfa.example'], organizations: ['Alfa'] };
  const pki = await makePki(directory, names);
  const filesOf = (name: string) => ({
    certificate: join(directory, `${name}.crt`),
    key: join(directory, `${name}.key`),
  });
  [root, intermediate] = [filesOf('root'), filesOf('intermediate')];
  leaf = await pki.issue({ file: 'leaf', organization: 'Alfa', address: 'a@pec.alfa.example' });
});
after(() => rm(directory, { recursive: true }));

const derOf = async ({ certificate }: Issued) => new X509Certificate(await readFile(certificate)).raw;
const listOf = async (request: ListRequest) => readCrl(derOfList(await revocationList(request)));

/** An authority like the intermediate, but for what is said. */
function authority(file: string, keyUsage: string, issuer?: Issued): Promise<Issued> {
  const extensions = ['basicConstraints=critical,CA:TRUE', ...(keyUsage ? [`keyUsage=${keyUsage}`] : [])];
  const subject = { C: 'IT', O: 'PEC Demo', CN: 'PEC Demo CA 1' };
  return certify({ directory, file, subject, key: 'ec:P-256', extensions, ...(issuer && { issuer }) });
}

describe('readCrl', () => {
  it('reads issuer, dates and serial numbers', async () => {
    const nextUpdate = anHourAgo + 2 * HOUR;
    const request = { issuer: intermediate, thisUpdate: anHourAgo - 1000, nextUpdate };
    const list = await listOf({ ...request, revoked: [{ certificate: leaf, since: anHourAgo }] });
    const { serialNumber } = new X509Certificate(await readFile(leaf.certificate));
    assert.deepEqual([list.thisUpdate, list.nextUpdate], [anHourAgo - 1000, nextUpdate]);
    assert.deepEqual(
      [...list.revoked].map(([serial, since]) => [BigInt(`0x${serial}`), since]),
      [[BigInt(`0x${serialNumber}`), anHourAgo]],
    );
    assert.equal(list.algorithm.name, 'sha256WithRSAEncryption');
    assert.equal((await listOf({ issuer: intermediate })).revoked.size, 0);
  });

  it('reads dates after 2049, and a list of version 1', async () => {
    const nextUpdate = Date.UTC(2050, 1, 3);
    assert.equal((await listOf({ issuer: intermediate, nextUpdate, extensions: [] })).nextUpdate, nextUpdate);
  });

  const refused: readonly (readonly [string, Partial<ListRequest>, RegExp])[] = [
    ['SHA-1', { digest: 'sha1' }, /^signed with sha1WithRSAEncryption, which is not accepted$/],
    ['MD5', { digest: 'md5' }, /^signed with 1\.2\.840\.113549\.1\.1\.4, which is not accepted$/],
    ['a delta list', { extensions: ['2.5.29.27=critical,ASN1:INTEGER:1'] }, /^a delta list/],
    [
      'an indirect list',
      { extensions: ['issuingDistributionPoint=critical,@part', '[part]', 'indirectCRL=TRUE'] },
      /^about some certificates only/,
    ],
    [
      'a list for authorities',
      { extensions: ['issuingDistributionPoint=critical,@part', '[part]', 'onlyCA=TRUE'] },
      /^about some certificates only/,
    ],
    [
      'an unknown critical extension',
      { extensions: ['1.2.3.4=critical,ASN1:NULL'] },
      /^critical extension 1\.2\.3\.4, which is unknown here$/,
    ],
  ];
  for (const [what, differs, message] of refused)
    it(`refuses ${what}`, async () => {
      const der = derOfList(await revocationList({ issuer: intermediate, ...differs }));
      assert.throws(() => readCrl(der), { constructor: CrlError, message });
    });

  it('passes over an unknown extension that is not critical', async () => {
    await listOf({ issuer: intermediate, extensions: ['1.2.3.4=ASN1:NULL'] });
  });

  it('refuses a list without nextUpdate, which would hold forever', async () => {
    const der = derOfList(await revocationList({ issuer: intermediate }));
    const [tbs, ...signature] = sequenceOf(parse(der));
    // version, signature, issuer, thisUpdate, nextUpdate
    const without = sequenceOf(tbs).filter((_, index) => index !== 4);
    const shorter = encode(sequence(sequence(...without), ...signature));
    assert.throws(() => readCrl(shorter), { constructor: CrlError, message: /^no nextUpdate/ });
  });

  it('reads an entry whose extension is not critical, and refuses what it does not understand in one', async () => {
    const der = derOfList(
      await revocationList({ issuer: intermediate, revoked: [{ certificate: leaf, since: anHourAgo }] }),
    );
    const [tbs, ...signature] = sequenceOf(parse(der));
    const fields = sequenceOf(tbs);
    const [serial, date] = sequenceOf(sequenceOf(fields[5])[0]);
    assert.ok(serial && date);
    const listWith = (...entry: Node[]) => {
      const changed = fields.map((field, index) => (index === 5 ? sequence(sequence(...entry)) : field));
      return readCrl(encode(sequence(sequence(...changed), ...signature)));
    };
    const certificateIssuer = (...critical: Node[]) =>
      sequence(sequence(oid('2.5.29.29'), ...critical, octetString(Buffer.of(0x30, 0))));
    assert.equal(listWith(serial, date, certificateIssuer()).revoked.size, 1);
    const isCritical = parse(Buffer.of(0x01, 1, 0xff));
    assert.throws(() => listWith(serial, date, certificateIssuer(isCritical)), {
      constructor: CrlError,
      message: 'critical extension 2.5.29.29 of an entry, unknown here',
    });
  });

  it('refuses a serial number with a zero more, which would never be found', async () => {
    const der = derOfList(
      await revocationList({ issuer: intermediate, revoked: [{ certificate: leaf, since: anHourAgo }] }),
    );
    const [serial = ''] = readCrl(der).revoked.keys();
    Buffer.of(0, 1).copy(der, der.indexOf(serial, 0, 'hex'));
    assert.throws(() => readCrl(der), {
      constructor: CrlError,
      message: 'malformed: a serial number not in DER',
    });
  });

  it('refuses what is too big, unread', () => {
    assert.throws(() => readCrl(Buffer.alloc((16 << 20) + 1)), { message: 'over 16777216 bytes' });
  });

  it('throws nothing but a CrlError of one line, whatever the bytes are', async () => {
    const der = derOfList(
      await revocationList({ issuer: intermediate, revoked: [{ certificate: leaf, since: anHourAgo }] }),
    );
    const changes = fc.array(fc.tuple(fc.nat({ max: der.length - 1 }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 4,
    });
    const changed = fc.tuple(changes, fc.nat({ max: der.length })).map(([places, end]) => {
      const copy = Buffer.from(der);
      for (const [place, byte] of places) copy[place] = byte;
      return copy.subarray(0, end % 2 === 0 ? der.length : end);
    });
    const noise = fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(changed, noise), bytes => {
        try {
          readCrl(bytes);
        } catch (trouble) {
          assert.ok(trouble instanceof CrlError, String(trouble));
          assert.doesNotMatch(trouble.message, /\n/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('checkPath and revocation', () => {
  /** `true`, or why the leaf has no path. */
  async function path(mode: Revocation['mode'], requests: readonly ListRequest[]): Promise<true | string> {
    const lists = await Promise.all(requests.map(listOf));
    const [of, ca, anchor] = await Promise.all([leaf, intermediate, root].map(derOf));
    assert.ok(of && ca && anchor);
    const result = checkPath(of, [ca], [anchor], now, { mode, lists });
    return result.ok || result.reason;
  }
  const revoking = (certificate: Issued, since: number) => [{ certificate, since }];

  it('both lists are there, and nobody is in them: good', async () => {
    for (const mode of ['require', 'prefer'] as const)
      assert.equal(await path(mode, [{ issuer: root }, { issuer: intermediate }]), true);
  });

  it('a leaf that is revoked is believed no more, from that moment on', async () => {
    const others = { issuer: root };
    const before = { issuer: intermediate, revoked: revoking(leaf, anHourAgo) };
    const later = { issuer: intermediate, revoked: revoking(leaf, now + HOUR) };
    const since = new Date(anHourAgo).toISOString();
    for (const mode of ['require', 'prefer'] as const) {
      assert.match(
        String(await path(mode, [others, before])),
        new RegExp(`CN=Posta Certificata: revoked since ${since}$`),
      );
      assert.equal(await path(mode, [others, later]), true);
      // One list that says so is enough.
      assert.match(String(await path(mode, [others, later, before])), /revoked since/);
    }
    assert.equal(await path('off', [others, before]), true);
  });

  it('an intermediate that is revoked vouches for nobody', async () => {
    const lists = [{ issuer: root, revoked: revoking(intermediate, anHourAgo) }, { issuer: intermediate }];
    assert.match(String(await path('prefer', lists)), /CN=PEC Demo CA 1: revoked since/);
  });

  it('lists of which none tells: `require` refuses, `prefer` does not', async () => {
    const revoked = revoking(leaf, anHourAgo);
    const impostor = await authority('impostor', 'keyCertSign,cRLSign');
    const rows: readonly (readonly [string, ListRequest[]])[] = [
      ['none', []],
      ['expired', [{ issuer: intermediate, revoked, thisUpdate: now - 2 * HOUR, nextUpdate: anHourAgo }]],
      [
        'of tomorrow',
        [{ issuer: intermediate, revoked, thisUpdate: now + HOUR, nextUpdate: now + 2 * HOUR }],
      ],
      ['by another key in the same name', [{ issuer: impostor, revoked }]],
      ['of another authority', [{ issuer: root, revoked }]],
    ];
    for (const [what, requests] of rows) {
      const lists = [{ issuer: root }, ...requests];
      assert.equal(await path('prefer', lists), true, what);
      assert.match(
        String(await path('require', lists)),
        /CN=Posta Certificata: no revocation list of its issuer for /,
        what,
      );
    }
    // The list of the root is asked for as well.
    assert.match(
      String(await path('require', [{ issuer: intermediate }])),
      /CN=PEC Demo CA 1: no revocation/,
    );
  });

  it('§6.3.3 (f) only who may sign lists is believed in them', async () => {
    for (const [usage, believed] of [
      ['critical,keyCertSign,cRLSign', true],
      ['critical,keyCertSign', false],
      ['', true],
    ] as const) {
      const name = `usage${usage.length}`;
      const ca = await authority(name, usage);
      const extensions = ['keyUsage=critical,digitalSignature'];
      const subject = { CN: 'leaf' };
      const issued = await certify({
        ...{ directory, file: `${name}-leaf`, subject, key: 'ec:P-256', extensions, issuer: ca },
      });
      const lists = [await listOf({ issuer: ca })];
      const { ok } = checkPath(await derOf(issued), [], [await derOf(ca)], now, { mode: 'require', lists });
      assert.equal(ok, believed, usage);
    }
  });

  it('a list with a byte changed anywhere never tells', async () => {
    const der = derOfList(await revocationList({ issuer: intermediate, revoked: revoking(leaf, anHourAgo) }));
    const [of, anchor] = await Promise.all([leaf, intermediate].map(derOf));
    assert.ok(of && anchor);
    const standing = (bytes: Buffer) => {
      try {
        const revocation = { mode: 'require', lists: [readCrl(bytes)] } as const;
        const result = checkPath(of, [], [anchor], now, revocation);
        return result.ok || result.reason;
      } catch (trouble) {
        assert.ok(trouble instanceof CrlError, String(trouble));
        return 'no list';
      }
    };
    assert.match(String(standing(der)), /revoked/);
    for (let place = 0; place < der.length; place += 1) {
      const changed = Buffer.from(der);
      changed[place] = (der[place] ?? 0) ^ 0x01;
      assert.match(String(standing(changed)), /no list|no revocation list/, `byte ${place}`);
    }
  });
});
