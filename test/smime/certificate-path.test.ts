// The demo's PKI as openssl judges it; every check on the way from a leaf to an anchor. RFC 5280 §6.1, RFC 6109 §5.5.2
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { type CertificateRequest, certify, type Issued, makePki, type Pki } from '../../src/demo/pki.ts';
import { instant } from '../../src/pec/values.ts';
import {
  children,
  encode,
  parse,
  primitive,
  sequence,
  sequenceOf,
  smallInteger,
  tagged,
} from '../../src/smime/asn1.ts';
import { checkPath, profileDeviations } from '../../src/smime/certificate-path.ts';
import { forbiddenName, readNameConstraints } from '../../src/smime/name-constraints.ts';

const run = promisify(execFile);
const now = instant(Date.now());
const HOUR = 3_600_000;
const permitted = {
  domains: ['pec.alfa.example', '.beta.example'],
  organizations: ['Alfa PEC S.p.A.', 'Beta'],
};
const alfa = { organization: 'Alfa PEC S.p.A.', address: 'posta-certificata@pec.alfa.example' };
let directory: string;
let pki: Pki;
let root: Issued;
let intermediate: Issued;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-path-'));
  pki = await makePki(directory, permitted);
  const issued = (file: string) => ({
    certificate: join(directory, `${file}.crt`),
    key: join(directory, `${file}.key`),
  });
  root = issued('root');
  intermediate = issued('intermediate');
});
after(() => rm(directory, { recursive: true }));

let files = 0;
const leafExtensions = ['keyUsage=critical,digitalSignature', `subjectAltName=email:${alfa.address}`];
const caExtensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];

/** A leaf like the providers', but for what is said. */
function leaf(differs: Partial<CertificateRequest>): Promise<Issued> {
  const subject = { C: 'IT', O: alfa.organization, CN: 'Posta Certificata' };
  const usual = {
    directory,
    file: `leaf${files++}`,
    subject,
    key: 'ec:P-256',
    issuer: intermediate,
  } as const;
  return certify({ ...usual, extensions: leafExtensions, ...differs });
}

/** A self-signed authority, but for what is said. */
function authority(CN: string, differs: Partial<CertificateRequest> = {}): Promise<Issued> {
  const usual = {
    directory,
    file: `ca${files++}`,
    subject: { CN },
    key: 'ec:P-256',
    extensions: caExtensions,
  } as const;
  return certify({ ...usual, ...differs });
}

async function der({ certificate }: Issued): Promise<Buffer> {
  return new X509Certificate(await readFile(certificate)).raw;
}

/** `true`, or why there is no path. */
async function path(
  of: Issued,
  candidates: readonly Issued[],
  anchor = root,
  at = now,
): Promise<true | string> {
  const bag = await Promise.all(candidates.map(der));
  const result = checkPath(await der(of), bag, [await der(anchor)], at);
  return result.ok || result.reason;
}

describe('the demo PKI', () => {
  it('is strictly what openssl and RFC 6109 §5.5 ask for', async () => {
    const rsa = await pki.issue({ ...alfa, file: 'strict-rsa' });
    const p256 = await pki.issue({ ...alfa, file: 'strict-p256', algorithm: 'p256' });
    const tls = await pki.tls(['mx.alfa.example']);
    const trust = ['-x509_strict', '-CAfile', pki.anchors, '-untrusted', intermediate.certificate];
    await run('openssl', ['verify', '-purpose', 'smimesign', ...trust, rsa.certificate, p256.certificate]);
    await run('openssl', ['verify', '-purpose', 'sslserver', ...trust, tls.certificate]);
    const server = new X509Certificate(await readFile(tls.certificate));
    assert.ok(server.checkHost('mx.alfa.example') && server.checkIP('127.0.0.1'));
    assert.deepEqual([profileDeviations(rsa.der), profileDeviations(p256.der)], [[], []]);
  });
});

describe('a path that holds', () => {
  it('runs from the leaf to the anchor', async () => {
    for (const algorithm of ['rsa', 'p256'] as const) {
      const issued = await pki.issue({ ...alfa, file: `good-${algorithm}`, algorithm });
      const [ca, anchor] = await Promise.all([der(intermediate), der(root)]);
      assert.deepEqual(checkPath(issued.der, [issued.der, ca, anchor], [anchor], now), {
        ok: true,
        chain: [issued.der, ca, anchor],
      });
    }
  });

  it('may end at an anchor that is no root', async () => {
    assert.equal(await path(await leaf({}), [], intermediate), true);
  });

  it('does not count a change of keys as a step §4.2.1.9', async () => {
    const extensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'];
    const old = await authority('Roll', { extensions });
    const young = await authority('Roll', { extensions, issuer: old });
    assert.equal(await path(await leaf({ issuer: young }), [young], old), true);
    const below = await authority('Below', { extensions, issuer: old });
    assert.match(
      String(await path(await leaf({ issuer: below }), [below], old)),
      /^CN=Roll: more authorities/,
    );
  });

  it('takes the way that holds, not the first one', async () => {
    const self = await authority('Crossed');
    const [bad, good] = await Promise.all(
      ['CA:FALSE', 'CA:TRUE'].map(async value => {
        const file = join(directory, value);
        await writeFile(file, `basicConstraints=critical,${value}`);
        const crossed = { ...self, certificate: `${file}.crt` };
        const signer = ['-CA', root.certificate, '-CAkey', root.key, '-set_serial', '7', '-days', '2'];
        const extensions = ['-clrext', '-extfile', file];
        const files = ['-in', self.certificate, '-out', crossed.certificate];
        await run('openssl', ['x509', ...files, ...signer, ...extensions]);
        return crossed;
      }),
    );
    const of = await leaf({ issuer: self });
    const soon = instant(Date.now() + 60_000);
    assert.match(String(await path(of, [bad as Issued], root, soon)), /not a certification authority/);
    assert.equal(await path(of, [bad as Issued, good as Issued], root, soon), true);
  });
});

describe('building a path', () => {
  it('fails without the intermediate', async () => {
    assert.match(String(await path(await leaf({}), [])), /no path to a trust anchor beyond C=IT, O=Alfa/);
  });

  it('fails under another anchor', async () => {
    assert.match(
      String(await path(await leaf({}), [intermediate], await authority('Other'))),
      /no path to a trust anchor beyond .*CA 1/,
    );
  });

  it('fails where an issuer bears the name but not the key', async () => {
    const impostor = await authority('', {
      subject: { C: 'IT', O: 'PEC Demo', CN: 'PEC Demo CA 1' },
      issuer: root,
    });
    assert.match(
      String(await path(await leaf({}), [impostor])),
      /Posta Certificata: not signed by the issuer/,
    );
  });

  it('is done with candidates that issue each other in a circle', async () => {
    const a = await authority('A');
    const b = await authority('B', { issuer: a });
    const circle = await authority('A', { issuer: b });
    const key = { ...a, certificate: circle.certificate };
    const of = await leaf({ issuer: b });
    assert.match(String(await path(of, [b, a, circle, key])), /no path to a trust anchor/);
  });

  it('goes no further than four certificates, anchor included', async () => {
    const chain = [await authority('1')];
    for (const CN of ['2', '3', '4']) chain.push(await authority(CN, { issuer: chain.at(-1) as Issued }));
    const [first, second] = chain as [Issued, Issued];
    const of = await leaf({ issuer: chain.at(-1) as Issued });
    assert.equal(await path(of, chain, second), true);
    assert.match(String(await path(of, chain, first)), /no path to a trust anchor/);
  });

  it('looks at ten candidates', async () => {
    const of = await leaf({});
    const nine = new Array(9).fill(await authority('Filler'));
    assert.equal(await path(of, [...nine, intermediate]), true);
    assert.match(String(await path(of, [...nine, ...nine, intermediate])), /no path to a trust anchor/);
  });

  it('ignores candidates that are no certificates, and refuses such a leaf', async () => {
    const [of, ca, anchor] = await Promise.all([der(await leaf({})), der(intermediate), der(root)]);
    assert.equal(checkPath(of, [Buffer.from('x'), ca], [Buffer.alloc(0), anchor], now).ok, true);
    const twice = parse(of);
    const extensions = children(sequenceOf(sequenceOf(twice)[0]).at(-1))[0];
    children(extensions).push(...children(extensions));
    for (const unreadable of [Buffer.from('x'), encode(twice)]) {
      assert.deepEqual(checkPath(unreadable, [ca], [anchor], now), {
        ok: false,
        reason: 'the certificate cannot be read',
      });
    }
  });
});

describe('a path is refused for', () => {
  const san = (names: string) => ({
    extensions: ['keyUsage=critical,digitalSignature', `subjectAltName=${names}`],
  });
  const provider = (O: string) => ({ subject: { C: 'IT', O, CN: 'Posta Certificata' } });
  const before = { from: now - 2 * HOUR, to: now - HOUR };
  const rows: readonly [string, Partial<CertificateRequest>, RegExp][] = [
    ['a leaf that has expired', { validity: before }, /Posta Certificata: not valid at/],
    ['a leaf of tomorrow', { validity: { from: now + HOUR, to: now + 2 * HOUR } }, /not valid at/],
    ['an RSA key of 1024 bits', { key: 'rsa:1024' }, /RSA key of 1024 bits/],
    ['a curve that is not common', { key: 'ec:secp256k1' }, /a key of type ec secp256k1/],
    ['a signature with SHA-1', { digest: 'sha1' }, /signed with sha1WithRSAEncryption/],
    ['no digitalSignature', { extensions: ['keyUsage=critical,keyAgreement'] }, /without digitalSignature/],
    ['no keyUsage', { extensions: [] }, /without digitalSignature/],
    [
      'another purpose',
      { extensions: [...leafExtensions, 'extendedKeyUsage=clientAuth'] },
      /without emailProtection/,
    ],
    [
      'an unknown critical extension',
      { extensions: [...leafExtensions, '1.2.3.4=critical,ASN1:NULL'] },
      /critical extension 1\.2\.3\.4/,
    ],
    [
      'a mail address that is not permitted',
      san('email:a@pec.gamma.example'),
      /a@pec\.gamma\.example is not permitted/,
    ],
    ['one of a host below', san('email:a@sub.pec.alfa.example'), /is not permitted/],
    [
      'one of the domain itself where hosts below are permitted',
      san('email:a@beta.example'),
      /is not permitted/,
    ],
    [
      'one bad address among good ones',
      san(`email:${alfa.address},email:a@x.example`),
      /a@x\.example is not/,
    ],
    ['an organization that is not permitted', provider('Gamma'), /its directory name is not permitted/],
    [
      'an alternative name of another organization',
      {
        extensions: ['keyUsage=critical,digitalSignature', 'subjectAltName=dirName:gamma'],
        sections: ['[gamma]', 'C=IT', 'O=Gamma'],
      },
      /its directory name is not permitted/,
    ],
    [
      'a mail address in the subject',
      { subject: { C: 'IT', O: alfa.organization, emailAddress: 'a@pec.gamma.example' } },
      /a@pec\.gamma\.example is not permitted/,
    ],
    ['an IP address', san(`email:${alfa.address},IP:192.0.2.1`), /form \[7\]/],
  ];
  for (const [name, differs, reason] of rows) {
    it(name, async () => assert.match(String(await path(await leaf(differs), [intermediate])), reason));
  }

  const authorities: readonly [string, Partial<CertificateRequest>, RegExp][] = [
    [
      'an authority that is none',
      { extensions: ['keyUsage=critical,keyCertSign'] },
      /not a certification authority/,
    ],
    [
      'an authority by denial',
      { extensions: ['basicConstraints=CA:FALSE'] },
      /not a certification authority/,
    ],
    [
      'an authority without keyCertSign',
      { extensions: [caExtensions[0] as string, 'keyUsage=cRLSign'] },
      /keyCertSign/,
    ],
    ['an expired authority', { validity: before }, /^CN=Middle: not valid at/],
    [
      'an authority of another purpose',
      { extensions: [...caExtensions, 'extendedKeyUsage=serverAuth'] },
      /^CN=Middle.*emailP/,
    ],
    ['an authority signed with SHA-1', { digest: 'sha1' }, /^CN=Middle: signed with/],
    ['an authority of 1024 bits', { key: 'rsa:1024' }, /^CN=Middle: an RSA key of 1024 bits/],
    [
      'an excluded mail host',
      {
        extensions: [...caExtensions, 'nameConstraints=critical,excluded;email:pec.alfa.example'],
      },
      /posta-certificata@pec\.alfa\.example is excluded/,
    ],
  ];
  for (const [name, differs, reason] of authorities) {
    it(name, async () => {
      const middle = await authority('Middle', { issuer: root, ...differs });
      assert.match(String(await path(await leaf({ issuer: middle }), [middle])), reason);
    });
  }

  it('an authority more than the path length allows', async () => {
    const below = await authority('Below', { issuer: intermediate });
    const reason = String(await path(await leaf({ issuer: below }), [below, intermediate]));
    assert.match(reason, /^C=IT, O=PEC Demo, CN=PEC Demo CA 1: more authorities/);
  });

  it('an anchor that has expired', async () => {
    const old = await authority('Old', { validity: before });
    assert.match(String(await path(await leaf({ issuer: old }), [], old)), /^CN=Old: not valid at/);
  });
});

describe('a path is not refused for', () => {
  const rows: readonly [string, Partial<CertificateRequest>][] = [
    [
      'an address of a host below a permitted domain',
      {
        extensions: ['keyUsage=critical,digitalSignature', 'subjectAltName=email:a@Pec.Beta.Example'],
      },
    ],
    ['an organization in other letters and blanks', { subject: { C: 'IT', O: 'ALFA  pec S.p.A.', CN: 'x' } }],
    ['any purpose', { extensions: [...leafExtensions, 'extendedKeyUsage=anyExtendedKeyUsage'] }],
    ['an unknown extension that is not critical', { extensions: [...leafExtensions, '1.2.3.4=ASN1:NULL'] }],
  ];
  for (const [name, differs] of rows) {
    it(name, async () => assert.equal(await path(await leaf(differs), [intermediate]), true));
  }

  it('an anchor signed with SHA-1 by itself', async () => {
    const old = await authority('Old', { digest: 'sha1' });
    assert.equal(await path(await leaf({ issuer: old }), [], old), true);
  });
});

describe('name constraints §4.2.1.10', () => {
  const rfc822Name = (text: string) => ({ ...primitive(1, text), tagClass: 0x80 });
  for (const [name, subtree] of [
    ['of no host', sequence(rfc822Name(''))],
    ['with a minimum', sequence(rfc822Name('x.example'), tagged(0, smallInteger(1)))],
    ['of nothing', sequence()],
  ] as const) {
    it(`a subtree ${name} is malformed`, () => {
      assert.throws(() => readNameConstraints(encode(sequence(tagged(1, subtree)))), /a subtree/);
    });
  }

  const mail = (text: string) => ({ form: 1, mail: text });
  for (const [subtree, address, inside] of [
    ['a@x.example', 'a@X.EXAMPLE', true],
    ['a@x.example', 'A@x.example', false],
    ['a@x.example', 'b@x.example', false],
    ['x.example', 'any@x.example', true],
    ['x.example', 'any@sub.x.example', false],
    ['.x.example', 'any@sub.x.example', true],
    ['.x.example', 'any@x.example', false],
    ['x.example', '"@x.example"@y.example', false],
  ] as const) {
    it(`${address} is ${inside ? '' : 'not '}within ${subtree}`, () => {
      const names = [mail(address)];
      const only = forbiddenName({ permitted: [mail(subtree)], excluded: [] }, names);
      const none = forbiddenName({ permitted: [], excluded: [mail(subtree)] }, names);
      assert.deepEqual([only === undefined, none === undefined], [inside, !inside]);
    });
  }
});

it('changed bytes in the certificates never make checkPath throw', async () => {
  const samples = await Promise.all([leaf({}).then(der), der(intermediate), der(root)]);
  const [of, ca, anchor] = samples as [Buffer, Buffer, Buffer];
  const changed = fc.record({
    which: fc.nat({ max: 2 }),
    changes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
  });
  fc.assert(
    fc.property(changed, ({ which, changes }) => {
      const copies = [of, ca, anchor].map(bytes => Buffer.from(bytes)) as [Buffer, Buffer, Buffer];
      const target = copies[which] as Buffer;
      for (const [place, byte] of changes) target[place % target.length] = byte;
      const { ok } = checkPath(copies[0], [copies[1]], [copies[2]], now);
      // The anchor's own signature is not looked at; any other byte is under a signature.
      if (which < 2 && !target.equals(samples[which] as Buffer)) assert.equal(ok, false);
    }),
    { numRuns: 500 },
  );
});

describe('profileDeviations, RFC 6109 §5.5.2', () => {
  it('names each departure', async () => {
    const bare = await leaf({
      extensions: [
        'keyUsage=keyAgreement',
        'basicConstraints=CA:FALSE',
        'subjectKeyIdentifier=none',
        'authorityKeyIdentifier=none',
      ],
    });
    assert.deepEqual(profileDeviations(await der(bare)), [
      'no digitalSignature in keyUsage',
      'keyUsage is not critical',
      'no authorityKeyIdentifier with a keyIdentifier',
      'no subjectKeyIdentifier',
      'no rfc822Name in subjectAltName',
      'basicConstraints is present',
    ]);
    const critical = await leaf({
      extensions: [
        'keyUsage=critical,digitalSignature',
        'subjectKeyIdentifier=critical,hash',
        'authorityKeyIdentifier=critical,keyid:always',
        `subjectAltName=critical,email:${alfa.address}`,
      ],
    });
    assert.deepEqual(profileDeviations(await der(critical)), [
      'authorityKeyIdentifier is critical',
      'subjectKeyIdentifier is critical',
      'subjectAltName is critical',
    ]);
  });
});
