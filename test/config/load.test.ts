// The configuration file: what it becomes, and what is said about a bad one
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitingForRestart } from '../../src/config/keys.ts';
import { ConfigError, loadConfig } from '../../src/config/load.ts';
import { exampleYaml } from '../../src/config/reference.ts';
import type { Config } from '../../src/config/schema.ts';

/** The least that a configuration says: 13 lines. */
const LEAST = `provider:
  name: Alfa PEC S.p.A.
  address: posta-certificata@pec.alfa.example
  serviceMailbox: ricevute@pec.alfa.example
  domains: [pec.alfa.example]
signing:
  certificate: /etc/pecd/signing.crt
  key: /etc/pecd/signing.key
trust:
  anchors: /etc/pecd/anchors.pem
  revocation: off
directory:
  source: /etc/pecd/directory.ldif
`;

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pecd-config-'));
});
after(() => rm(directory, { recursive: true }));

async function load(yaml: string | Buffer): Promise<Config> {
  const file = join(directory, 'pecd.yaml');
  await writeFile(file, yaml);
  return loadConfig(file);
}

/** The complaints about `yaml`, `FILE` standing for the name of the file. */
async function complaints(yaml: string | Buffer): Promise<string[]> {
  try {
    await load(yaml);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.lines.map(line =>
      line.replaceAll(join(directory, 'pecd.yaml'), 'FILE').replaceAll(directory, 'DIR'),
    );
  }
  return [];
}

describe('a good configuration', () => {
  test('the least one has a default for all the rest, and no point', async () => {
    assert.deepEqual(await load(LEAST), {
      provider: {
        name: 'Alfa PEC S.p.A.',
        address: 'posta-certificata@pec.alfa.example',
        serviceMailbox: 'ricevute@pec.alfa.example',
        domains: ['pec.alfa.example'],
      },
      signing: { certificate: '/etc/pecd/signing.crt', key: '/etc/pecd/signing.key' },
      trust: { anchors: '/etc/pecd/anchors.pem', revocation: 'off', crls: [] },
      directory: { source: '/etc/pecd/directory.ldif' },
      redis: { url: 'redis://127.0.0.1:6379/0', allowVolatile: false },
      spool: '/var/spool/pecd',
      receipts: { relay: { protocol: 'smtp', host: '127.0.0.1', port: 10026 }, concurrency: 8 },
      journal: { directory: '/var/log/pecd', retention: 79_056_000_000 },
      virusStore: '/var/lib/pecd/virus',
      timeouts: { firstNotice: 43_200_000, secondNotice: 86_400_000, idle: 86_400_000 },
      limits: { connections: 500, recipients: 100, headerSize: 262_144 },
    });
  });

  test('the points', async () => {
    const config = await load(`${LEAST}access:
  listen: [{address: 127.0.0.1, port: 0, tls: starttls}, {address: '::1', port: 465, tls: implicit}]
  maxSize: 1MB
  onFormalException: receipt-only
incoming: {listen: [{address: 127.0.0.1, port: 2525}], ordinaryMail: accept}
delivery: {mailStore: 'lmtp:unix:/run/dovecot/lmtp'}
antivirus: {clamd: 'unix:/run/clamd'}
timeouts: {firstNotice: 2s, secondNotice: 3s, idle: 4s}
tls: {certificate: /etc/pecd/tls.crt, key: /etc/pecd/tls.key}
http: {}
`);
    assert.deepEqual(config.access, {
      listen: [
        { address: '127.0.0.1', port: 0, tls: 'starttls' },
        { address: '::1', port: 465, tls: 'implicit' },
      ],
      auth: 'relay',
      trustedNetworks: [{ address: '127.0.0.0', prefix: 8, family: 'ipv4' }],
      relay: { protocol: 'smtp', host: '127.0.0.1', port: 10026 },
      maxSize: 1_048_576,
      maxSizeTimesRecipients: 104_857_600,
      onFormalException: 'receipt-only',
    });
    assert.deepEqual(config.incoming, {
      listen: [{ address: '127.0.0.1', port: 2525, tls: 'none' }],
      relay: { protocol: 'smtp', host: '127.0.0.1', port: 10026 },
      ordinaryMail: 'accept',
    });
    assert.deepEqual(config.delivery, {
      listen: [{ address: '127.0.0.1', port: 10024 }],
      mailStore: { protocol: 'lmtp', path: '/run/dovecot/lmtp' },
    });
    assert.deepEqual(config.antivirus, { clamd: { path: '/run/clamd' } });
    assert.deepEqual(config.timeouts, { firstNotice: 2_000, secondNotice: 3_000, idle: 4_000 });
    assert.deepEqual(config.http, { listen: { address: '127.0.0.1', port: 9587 } });
  });

  test('the example file', async () => {
    const { access, incoming, delivery, http, tls } = await load(exampleYaml());
    assert.ok(access && incoming && delivery && http && tls);
  });

  test('revocation by every policy, with files of lists', async () => {
    const crls = ['/etc/pecd/a.crl', '/etc/pecd/b.crl'];
    for (const policy of ['require', 'prefer', 'off']) {
      const lists = `revocation: ${policy}\n  crls: [${crls}]`;
      const { trust } = await load(LEAST.replace('revocation: off', lists));
      assert.deepEqual(trust, { anchors: '/etc/pecd/anchors.pem', revocation: policy, crls });
    }
    const { trust } = await load(LEAST.replace('revocation: off', 'revocation: prefer'));
    assert.deepEqual(trust.crls, []);
  });

  test('the names of domains and mailboxes are compared in lower case', async () => {
    const { provider } = await load(LEAST.replaceAll('pec.alfa.example', 'PEC.Alfa.Example'));
    assert.deepEqual(provider.domains, ['pec.alfa.example']);
    assert.equal(provider.address, 'posta-certificata@pec.alfa.example');
  });

  test('an alias stands for what it names', async () => {
    const config =
      await load(`${LEAST}incoming: {listen: [{address: 127.0.0.1, port: 25}], relay: &mta smtp://mta:25}
receipts: {relay: *mta}
`);
    assert.deepEqual(config.receipts.relay, { protocol: 'smtp', host: 'mta', port: 25 });
  });
});

const bad: Record<string, { yaml: string | Buffer; lines: string[] }> = {
  'an unknown key': {
    yaml: LEAST.replace('source:', 'sauce:'),
    lines: [
      'FILE:12: directory.source: missing, and it has no default',
      'FILE:13: directory.sauce: unknown key; known here: source',
    ],
  },
  'an unknown section': {
    yaml: `${LEAST}smtp: {}\n`,
    lines: [
      'FILE:14: smtp: unknown key; known here: provider, signing, trust, directory, redis, spool, access, incoming, delivery, receipts, antivirus, journal, virusStore, http, tls, timeouts, limits',
    ],
  },
  'an unknown key in the entry of a list': {
    yaml: `${LEAST}delivery:\n  listen:\n    - {address: 127.0.0.1, port: 24}\n    - address: 127.0.0.1\n      port: 25\n      tls: none\n`,
    lines: ['FILE:19: delivery.listen[1].tls: unknown key; known here: address, port'],
  },
  'many problems at once, in the order of the file': {
    yaml: `${LEAST.replace('address: posta-certificata@', 'address: ').replace('[pec.alfa.example]', '[]')}limits: {recipients: 0, headerSize: 256}\nreceipts: {concurrency: 1.5}\n`,
    lines: [
      'FILE:3: provider.address: not a mailbox: write local-part@domain',
      'FILE:5: provider.domains: must not be empty',
      'FILE:14: limits.recipients: must be at least 1',
      'FILE:14: limits.headerSize: not a size: write 256KB, 30MB or 1GB',
      'FILE:15: receipts.concurrency: must be a whole number',
    ],
  },
  'values of the wrong type': {
    yaml: `${LEAST.replace('[pec.alfa.example]', 'pec.alfa.example').replace('Alfa PEC S.p.A.', '42')}redis: {allowVolatile: yes}\nreceipts: true\n`,
    lines: [
      'FILE:2: provider.name: must be text: put it in quotes',
      'FILE:5: provider.domains: must be a list',
      'FILE:14: redis.allowVolatile: must be true or false',
      'FILE:15: receipts: must be a section: keys below it, indented',
    ],
  },
  'a key without a value': {
    yaml: `${LEAST}incoming:\nspool:\n`,
    lines: [
      'FILE:14: incoming: empty: write a value or remove the line',
      'FILE:15: spool: empty: write a value or remove the line',
    ],
  },
  'a value that is none of the choices': {
    yaml: `${LEAST}incoming: {listen: [{address: 127.0.0.1, port: 25}], ordinaryMail: maybe}\n`,
    lines: ['FILE:14: incoming.ordinaryMail: must be reject or accept'],
  },
  'notations that are none': {
    yaml: `${LEAST}journal: {retention: 30}
delivery:
  listen: [{address: 127.0.0, port: 65536}]
  mailStore: smtp://127.0.0.1:24
receipts: {relay: 127.0.0.1}
redis: {url: 'http://127.0.0.1:6379'}
`,
    lines: [
      'FILE:14: journal.retention: not a duration: write 3s, 30m, 12h, 7d or 30 months',
      'FILE:16: delivery.listen[0].address: not an address: write an IP address or a host name',
      'FILE:16: delivery.listen[0].port: must be at most 65535',
      'FILE:17: delivery.mailStore: not a mail store: write lmtp://HOST:PORT or lmtp:unix:/PATH',
      'FILE:18: receipts.relay: not a relay: write smtp://HOST:PORT or smtps://HOST:PORT',
      'FILE:19: redis.url: not a Redis URL: write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH',
    ],
  },
  'less than RFC 6109 asks to accept': {
    yaml: `${LEAST}access: {maxSizeTimesRecipients: 29MB}\ntls: {certificate: a, key: b}\n`,
    lines: [
      'FILE:14: access.maxSizeTimesRecipients: must be at least 30MB (RFC 6109 asks to accept that much)',
    ],
  },
  'TLS without a certificate': {
    yaml: `${LEAST}access: {}\nincoming:\n  listen:\n    - {address: 0.0.0.0, port: 25, tls: starttls}\n`,
    lines: [
      'FILE:14: access.listen[0].tls: starttls needs the section `tls` with certificate and key',
      'FILE:14: access.listen[1].tls: implicit needs the section `tls` with certificate and key',
      'FILE:17: incoming.listen[0].tls: starttls needs the section `tls` with certificate and key, or write tls: none',
    ],
  },
  'logins in the clear': {
    yaml: `${LEAST}access: {listen: [{address: 127.0.0.1, port: 587}]}\n`,
    lines: [
      'FILE:14: access.listen[0].tls: users log in here, and passwords do not travel in the clear: write starttls or implicit',
    ],
  },
  'notices in the wrong order': {
    yaml: `${LEAST}timeouts:\n  firstNotice: 24h\n  secondNotice: 24h\n`,
    lines: ['FILE:16: timeouts.secondNotice: the second notice comes after the first: write a longer time'],
  },
  'revocation lists are required, and none is named': {
    yaml: LEAST.replace('  revocation: off\n', ''),
    lines: ['FILE:9: trust.crls: require needs revocation lists: name files, or write prefer or off'],
  },
  'all that is not in this version': {
    yaml: `${LEAST.replace('/etc/pecd/signing.key', 'pkcs11:token=pec')
      .replace('revocation: off', 'revocation: require\n  crls: [/etc/pecd/a.crl, http://ca.example/b.crl]')
      .replace(
        '/etc/pecd/directory.ldif',
        'https://directory.example/d.p7m',
      )}redis: {url: 'redis+sentinel://127.0.0.1:26379/pec'}
access:
  listen: [{address: 127.0.0.1, port: 587}]
  auth: dovecot:unix:/run/dovecot/auth-client
  trustedNetworks: [10.0.0.0/8]
journal: {timestampUrl: 'https://tsa.example/'}
`,
    lines: [
      'FILE:8: signing.key: PKCS#11 tokens are not in this version; name a PEM file',
      'FILE:12: trust.crls: fetching revocation lists is not in this version; name files',
      'FILE:14: directory.source: fetching the directory is not in this version; name an LDIF file',
      'FILE:15: redis.url: Redis Sentinel and Cluster are not in this version; name one server',
      'FILE:18: access.auth: only relay is in this version; write auth: relay',
      'FILE:19: access.trustedNetworks: XCLIENT and XFORWARD are not in this version; remove the line',
      'FILE:20: journal.timestampUrl: time stamps are not in this version; remove the line',
    ],
  },
  'a key twice': {
    yaml: `${LEAST}spool: /a\nspool: /b\n`,
    lines: ['FILE:15: this key is there twice: keep one of them'],
  },
  'a tab for indentation': {
    yaml: 'provider:\n\tname: Alfa\n',
    lines: ['FILE:2: a tab in the indentation: use blanks'],
  },
  'a second document': {
    yaml: `${LEAST}---\n${LEAST}`,
    lines: ['FILE:14: a second document begins here: keep one of them'],
  },
  'a tag of another language': {
    yaml: `${LEAST}spool: !!python/object:os.system /a\n`,
    lines: ['FILE:14: Unresolved tag: tag:yaml.org,2002:python/object:os.system'],
  },
  'aliases that multiply': {
    yaml: `a: &a [1, 1, 1, 1, 1, 1, 1, 1]\nb: &b [${'*a,'.repeat(8)}]\nc: &c [${'*b,'.repeat(8)}]\nd: [${'*c,'.repeat(8)}]\n`,
    lines: ['FILE: Excessive alias count indicates a resource exhaustion attack'],
  },
  'an alias to nothing': {
    yaml: `${LEAST}spool: *nowhere\n`,
    lines: ['FILE: Unresolved alias (the anchor must be set before the alias): nowhere'],
  },
  'an alias to a value that is no good there': {
    yaml: `${LEAST.replace('domains: [', 'domains: &own [')}spool: *own\n`,
    lines: ['FILE:14: spool: not a path: write the name of a file or directory'],
  },
  'the key __proto__': {
    yaml: `${LEAST}redis:\n  __proto__: {allowVolatile: true}\n`,
    lines: ['FILE:15: redis.__proto__: unknown key; known here: url, allowVolatile'],
  },
  'an empty file': { yaml: '', lines: ['FILE:1: empty: write a value or remove the line'] },
  'a list': { yaml: '- a\n', lines: ['FILE:1: must be a section: keys below it, indented'] },
  'a file that is not text': { yaml: Buffer.from([0x61, 0xff]), lines: ['FILE: is not UTF-8 text'] },
  'a secret that is not there': {
    yaml: `${LEAST}redis: {url: 'file:/nonexistent/redis-url'}\n`,
    lines: ['FILE:14: redis.url: cannot read the secret: /nonexistent/redis-url: no such file or directory'],
  },
};

describe('a bad configuration', () => {
  for (const [name, { yaml, lines }] of Object.entries(bad)) {
    test(name, async () => assert.deepEqual(await complaints(yaml), lines));
  }

  test('a file that is not there', async () => {
    await assert.rejects(loadConfig('/nonexistent/pecd.yaml'), {
      name: 'ConfigError',
      lines: ['/nonexistent/pecd.yaml: no such file or directory'],
    });
  });
});

describe('secrets', () => {
  const url = 'redis://:secret@127.0.0.1:6379/1';
  before(async () => {
    await writeFile(join(directory, 'redis-url'), `${url}\n`);
    await writeFile(join(directory, 'bad-url'), 'http://:secret@127.0.0.1/\n');
    process.env.CREDENTIALS_DIRECTORY = directory;
  });
  after(() => {
    delete process.env.CREDENTIALS_DIRECTORY;
  });

  test('file: and cred: stand for a content', async () => {
    assert.equal((await load(`${LEAST}redis: {url: 'file:${directory}/redis-url'}\n`)).redis.url, url);
    assert.equal((await load(`${LEAST}redis: {url: cred:redis-url}\n`)).redis.url, url);
  });

  test('where a path is asked for they stand for the path', async () => {
    const { signing } = await load(
      LEAST.replace('/etc/pecd/signing.key', 'cred:signing.key').replace(
        '/etc/pecd/signing.crt',
        'file:/a/b.crt',
      ),
    );
    assert.deepEqual(signing, { certificate: '/a/b.crt', key: join(directory, 'signing.key') });
  });

  test('a bad one is not shown', async () => {
    assert.deepEqual(await complaints(`${LEAST}redis: {url: cred:bad-url}\n`), [
      'FILE:14: redis.url: not a Redis URL: write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH',
    ]);
  });

  test('a credential is a name, not a path', async () => {
    assert.deepEqual(await complaints(`${LEAST}redis: {url: cred:../shadow}\n`), [
      'FILE:14: redis.url: cannot read the secret: the name of a credential has no slash',
    ]);
  });

  test('without systemd there are no credentials', async () => {
    delete process.env.CREDENTIALS_DIRECTORY;
    assert.deepEqual(await complaints(`${LEAST}spool: cred:spool\n`), [
      'FILE:14: spool: cannot read the secret: cred: needs systemd (LoadCredential=); use file:PATH elsewhere',
    ]);
  });
});

test('a reload names what waits for a restart', async () => {
  const running = await load(LEAST);
  const wanted = await load(
    `${LEAST.replace('signing.key', 'new.key').replace('[pec', '[pec.beta.example, pec')}http: {}\nlimits: {recipients: 50}\n`,
  );
  assert.deepEqual(waitingForRestart(running, wanted), [
    'provider.domains',
    'http.listen.address',
    'http.listen.port',
    'limits.recipients',
  ]);
  assert.deepEqual(waitingForRestart(running, running), []);
});
