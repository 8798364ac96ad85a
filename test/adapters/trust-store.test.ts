// The provider directory and the anchors, from files made by openssl: tolerant by entry, strict by file
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadAnchors, loadCrls, loadDirectory, openTrust } from '../../src/adapters/trust-store.ts';
import type { Domain } from '../../src/pec/values.ts';
import { derOfList, type ListRequest, revocationList } from '../smime/revocation-list.ts';

let base: string;
/** Two self-signed provider certificates, PEM. */
let alfa: string;
let beta: string;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'pecd-trust-'));
  const make = (name: string) => {
    const path = join(base, `${name}.crt`);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9'],
        ...['-subj', `/O=${name}`, '-addext', `subjectAltName=email:Posta-Certificata@pec.${name}.example`],
        ...['-keyout', join(base, `${name}.key`), '-out', path],
      ],
      { stdio: 'pipe' },
    );
    return path;
  };
  alfa = make('alfa');
  beta = make('beta');
});
after(() => rm(base, { recursive: true, force: true }));

const derOf = (pem: string) => execFileSync('openssl', ['x509', '-in', pem, '-outform', 'DER']);
const sha1Of = (pem: string) =>
  execFileSync('openssl', ['x509', '-in', pem, '-noout', '-fingerprint', '-sha1'], { encoding: 'utf8' })
    .trim()
    .replace(/^.*=/, '');

/** Base64 folded at 58 columns, as §4.5.10 shows it. */
const folded = (der: Buffer) => der.toString('base64').replace(/.{1,58}/g, '\n $&');

interface Entry {
  readonly name?: string;
  readonly extra?: string;
  readonly certificate?: string;
  readonly hash?: string;
  readonly mailReceipt?: string;
  readonly domains?: readonly string[];
}

function entry(fields: Entry): string {
  const { name = 'Alfa S.p.A.', certificate = alfa, mailReceipt = 'ricevute@pec.alfa.example' } = fields;
  const {
    hash = sha1Of(certificate).replaceAll(':', ''),
    domains = ['pec.alfa.example'],
    extra = '',
  } = fields;
  return [
    `dn: providerName=${name},o=postacert`,
    'objectClass: top',
    'objectclass: Provider',
    `providerName: ${name}`,
    `providerCertificateHash:\n ${hash}`,
    `providerCertificate;binary::${folded(derOf(certificate))}`,
    `mailReceipt: ${mailReceipt}`,
    ...domains.map(domain => `managedDomains: ${domain}`),
    extra,
    '',
  ].join('\n');
}

const ROOT = 'dn: o=postacert\nobjectclass: organization\no: postacert\n\n';

let count = 0;
async function file(text: string | Buffer): Promise<string> {
  const path = join(base, `file${count++}`);
  await writeFile(path, text);
  return path;
}

describe('loadDirectory', () => {
  it('maps an entry to a provider, found by domain and by certificate', async () => {
    const secondary = entry({
      name: 'Beta',
      certificate: beta,
      domains: ['PEC.Beta.example'],
      extra: 'providerUnit: Sede 2',
    });
    const { directory, oddities } = await loadDirectory(await file(ROOT + entry({}) + secondary));
    assert.deepEqual(oddities, []);
    const [first, second] = directory.providers;
    assert.deepEqual(first, {
      name: 'Alfa S.p.A.',
      mailReceipt: 'ricevute@pec.alfa.example',
      domains: ['pec.alfa.example'],
      certificates: [
        {
          hash: sha1Of(alfa).replaceAll(':', '').toLowerCase(),
          der: derOf(alfa),
          addresses: ['Posta-Certificata@pec.alfa.example'],
        },
      ],
    });
    assert.equal(second?.unit, 'Sede 2');
    assert.equal(directory.providerOf('pec.beta.example' as Domain), second);
    assert.deepEqual(directory.signersOf(sha1Of(beta).replaceAll(':', ''), derOf(beta)), [second]);
  });

  for (const { title, entries, oddity, providers = 1, domains = ['pec.alfa.example'] } of [
    {
      title: 'several domains in one value',
      entries: () => entry({ domains: ['a.example, b.example c.example', 'd.example'] }),
      domains: ['a.example', 'b.example', 'c.example', 'd.example'],
    },
    { title: 'a hash written with colons', entries: () => entry({ hash: sha1Of(alfa) }) },
    {
      title: 'a hash of no certificate in the entry',
      entries: () => entry({ hash: 'E00FDD9D88BE0E2CC766B893315CAF93D5701A6A' }),
      oddity: /^line 5, providerName=Alfa S.p.A.,o=postacert: no certificate with the hash E00FDD/,
    },
    {
      title: 'a domain that is none',
      entries: () => entry({ domains: ['pec.alfa.example', 'localhost'] }),
      oddity: /not a domain: localhost/,
    },
    {
      title: 'a certificate that is none',
      entries: () => entry({ extra: 'providerCertificate;binary:: AQID\n' }),
      oddity: /providerCertificate: not a certificate/,
    },
    {
      title: 'an entry without a usable mailReceipt is left out',
      entries: () => entry({}) + entry({ name: 'Beta', mailReceipt: 'nobody' }),
      oddity: /providerName=Beta,o=postacert: left out, no usable mailReceipt/,
    },
    {
      title: 'two providers that claim one domain',
      entries: () => entry({}) + entry({ name: 'Beta', certificate: beta }),
      oddity: /^pec.alfa.example is claimed by Alfa S.p.A. and by Beta: the first one has it$/,
      providers: 2,
    },
    {
      title: 'sloppy form: what the parser notes is passed on',
      entries: () => entry({}).replace('\nmailReceipt', '\n\nmailReceipt'),
      oddity: /^line \d+: blank line inside the entry$/,
    },
  ] as readonly {
    title: string;
    entries: () => string;
    oddity?: RegExp;
    providers?: number;
    domains?: readonly string[];
  }[]) {
    it(title, async () => {
      const { directory, oddities } = await loadDirectory(await file(ROOT + entries()));
      assert.equal(directory.providers.length, providers);
      assert.deepEqual(directory.providers[0]?.domains, domains);
      assert.equal(directory.providers[0]?.certificates.length, 1);
      assert.equal(oddities.length, oddity === undefined ? 0 : 1, oddities.join('\n'));
      if (oddity !== undefined) assert.match(oddities[0] ?? '', oddity);
    });
  }

  it('rejects, naming the file, what is missing or names no provider', async () => {
    const missing = join(base, 'missing.ldif');
    const only = await file(ROOT);
    await assert.rejects(loadDirectory(missing), new RegExp(`^Error: provider directory ${missing}: ENOENT`));
    await assert.rejects(loadDirectory(only), {
      message: `provider directory ${only}: no usable provider in it`,
    });
  });
});

describe('loadAnchors', () => {
  it('reads every certificate of the bundle, in its order, whatever stands between', async () => {
    const bundle = await file(
      `# anchors\n${await readFile(alfa, 'utf8')}\nfor Beta\n${await readFile(beta, 'utf8')}`,
    );
    assert.deepEqual(await loadAnchors(bundle), [derOf(alfa), derOf(beta)]);
  });

  it('rejects, naming the file, what holds none or a broken one', async () => {
    const key = join(base, 'alfa.key');
    const broken = await file(
      `${await readFile(alfa, 'utf8')}-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n`,
    );
    await assert.rejects(loadAnchors(key), { message: `trust anchors ${key}: no certificate in it` });
    await assert.rejects(loadAnchors(broken), {
      message: `trust anchors ${broken}: certificate 2 cannot be read`,
    });
    await assert.rejects(loadAnchors(join(base, 'none')), /^Error: trust anchors .*none: ENOENT/);
  });
});

const HOUR = 3_600_000;
const listOf = (name: 'alfa' | 'beta', differs: Partial<ListRequest> = {}) =>
  revocationList({
    issuer: { certificate: join(base, `${name}.crt`), key: join(base, `${name}.key`) },
    ...differs,
  });

describe('loadCrls', () => {
  it('reads DER, and PEM with any number of lists in it', async () => {
    const [ofAlfa, ofBeta] = [await listOf('alfa'), await listOf('beta')];
    const paths = [await file(derOfList(ofAlfa)), await file(`Alfa:\n${ofAlfa}\nand Beta:\n${ofBeta}`)];
    const { lists, oddities } = await loadCrls(paths);
    const [first, second, third] = lists.map(({ issuer }) => issuer);
    assert.deepEqual([lists.length, oddities], [3, []]);
    assert.equal(first, second);
    assert.notEqual(second, third);
  });

  it('names a list that is past its time', async () => {
    const nextUpdate = Math.floor(Date.now() / 1000) * 1000 - HOUR;
    const path = await file(await listOf('alfa', { thisUpdate: nextUpdate - HOUR, nextUpdate }));
    const { lists, oddities } = await loadCrls([path]);
    assert.equal(lists.length, 1);
    assert.deepEqual(oddities, [
      `revocation list ${path}: the next was due at ${new Date(nextUpdate).toISOString()}`,
    ]);
  });

  it('rejects, naming the file, what is missing, none, half written or refused', async () => {
    const good = await listOf('alfa');
    for (const [text, why] of [
      ['', 'malformed: no tag 48 where one belongs'],
      ['<html>', 'malformed: not DER'],
      [`${good}${good.slice(0, -30)}`, 'a list in it has no end'],
      [await listOf('alfa', { digest: 'sha1' }), 'signed with ecdsa-with-SHA1, which is not accepted'],
    ] as const) {
      const path = await file(text);
      await assert.rejects(loadCrls([path]), { message: `revocation list ${path}: ${why}` });
    }
    await assert.rejects(loadCrls([join(base, 'none')]), /^Error: revocation list .*none: ENOENT/);
  });
});

describe('openTrust', () => {
  it('reload swaps directory and anchors; a bad file leaves both as they were', async () => {
    const directory = await file(ROOT + entry({}));
    const anchors = await file(await readFile(alfa, 'utf8'));
    const trust = await openTrust({ directory, anchors, revocation: 'off', crls: [] });
    assert.deepEqual(trust.oddities, []);
    const before = trust.directory;

    await writeFile(directory, ROOT + entry({ domains: ['new.example', 'x'] }));
    await writeFile(anchors, 'nothing');
    await assert.rejects(trust.reload(), /trust anchors/);
    assert.equal(trust.directory, before);
    assert.deepEqual(trust.anchors, [derOf(alfa)]);

    await writeFile(anchors, await readFile(beta, 'utf8'));
    await trust.reload();
    assert.ok(trust.directory.providerOf('new.example' as Domain) !== undefined);
    assert.equal(before.providerOf('new.example' as Domain), undefined);
    assert.deepEqual(trust.anchors, [derOf(beta)]);
    assert.equal(trust.oddities.length, 1);
  });

  it('reload swaps the revocation lists; a bad file leaves them as they were', async () => {
    const [directory, anchors] = [await file(ROOT + entry({})), await file(await readFile(alfa, 'utf8'))];
    const list = await file(await listOf('alfa'));
    const trust = await openTrust({ directory, anchors, revocation: 'prefer', crls: [list] });
    assert.deepEqual([trust.revocation.mode, trust.revocation.lists.length], ['prefer', 1]);
    const before = trust.revocation;

    await writeFile(list, 'nothing');
    await assert.rejects(trust.reload(), /revocation list/);
    assert.equal(trust.revocation, before);

    const past = { thisUpdate: Date.now() - 2 * HOUR, nextUpdate: Date.now() - HOUR };
    await writeFile(list, (await listOf('alfa', past)) + (await listOf('beta')));
    await trust.reload();
    assert.deepEqual([trust.revocation.lists.length, trust.oddities.length], [2, 1]);
  });

  it('does not read revocation lists that nobody looks at', async () => {
    const [directory, anchors] = [await file(ROOT + entry({})), await file(await readFile(alfa, 'utf8'))];
    const crls = [join(base, 'none')];
    const trust = await openTrust({ directory, anchors, revocation: 'off', crls });
    assert.deepEqual(trust.revocation, { mode: 'off', lists: [] });
  });
});
