// A throwaway PKI of the shape that PEC has: root, an intermediate like AgID CA1, leaves by RFC 6109 §5.5; made by openssl
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Leaf {
  /** Base name of the files: `<file>.crt` and `<file>.key`. */
  readonly file: string;
  /** providerName: O of the subject. */
  readonly organization: string;
  /** The provider's own address: rfc822Name. */
  readonly address: string;
  readonly algorithm?: 'rsa' | 'p256';
}

/** Paths of PEM files: the certificate followed by its intermediates, and a key of mode 0600. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Pki {
  /** Path of the root, PEM. */
  readonly anchors: string;
  /** A signing certificate for a provider; `der` is the leaf alone. */
  issue(leaf: Leaf): Promise<Issued & { readonly der: Buffer }>;
  /** A server certificate for these DNS names and 127.0.0.1; the files bear the first name. */
  tls(names: readonly [string, ...string[]]): Promise<Issued>;
}

/** Who the intermediate may certify: hosts of mail addresses, and O of the subjects (C=IT). */
export interface Permitted {
  readonly domains: readonly string[];
  readonly organizations: readonly string[];
}

/** Makes root and intermediate in `directory`, which must exist. Names are ASCII. */
export async function makePki(directory: string, permitted: Permitted): Promise<Pki> {
  const root = await certify({
    directory,
    file: 'root',
    subject: { O: 'PEC Demo', CN: 'PEC Demo Root' },
    key: 'rsa:2048',
    extensions: authority(1),
  });
  const intermediate = await certify({
    directory,
    file: 'intermediate',
    subject: { C: 'IT', O: 'PEC Demo', CN: 'PEC Demo CA 1' },
    key: 'rsa:2048',
    extensions: [...authority(0), 'nameConstraints=critical,@names'],
    sections: nameConstraints(permitted),
    issuer: root,
  });
  return {
    anchors: root.certificate,
    issue: async ({ file, organization, address, algorithm }) => {
      const issued = await certify({
        directory,
        file,
        subject: { C: 'IT', O: organization, CN: 'Posta Certificata' },
        key: algorithm === 'p256' ? 'ec:P-256' : 'rsa:2048',
        extensions: [
          'keyUsage=critical,digitalSignature',
          'extendedKeyUsage=emailProtection',
          'subjectKeyIdentifier=hash',
          'authorityKeyIdentifier=keyid:always',
          `subjectAltName=email:${address}`,
        ],
        issuer: intermediate,
      });
      const leaf = await readFile(issued.certificate);
      await writeFile(issued.certificate, Buffer.concat([leaf, await readFile(intermediate.certificate)]));
      return { ...issued, der: new X509Certificate(leaf).raw };
    },
    // Under the root: the intermediate excludes every IP address.
    tls: names =>
      certify({
        directory,
        file: `tls-${names[0]}`,
        subject: { CN: names[0] },
        key: 'ec:P-256',
        extensions: [
          'keyUsage=critical,digitalSignature',
          'extendedKeyUsage=serverAuth',
          'subjectKeyIdentifier=hash',
          'authorityKeyIdentifier=keyid:always',
          `subjectAltName=${[...names.map(name => `DNS:${name}`), 'IP:127.0.0.1'].join(',')}`,
        ],
        issuer: root,
      }),
  };
}

function authority(pathLength: number): string[] {
  return [
    `basicConstraints=critical,CA:TRUE,pathlen:${pathLength}`,
    'keyUsage=critical,keyCertSign,cRLSign',
    'subjectKeyIdentifier=hash',
    'authorityKeyIdentifier=keyid',
  ];
}

function nameConstraints({ domains, organizations }: Permitted): string[] {
  return [
    '[names]',
    ...domains.map((domain, n) => `permitted;email.${n}=${domain}`),
    ...organizations.map((_, n) => `permitted;dirName.${n}=organization${n}`),
    'excluded;IP.0=0.0.0.0/0.0.0.0',
    'excluded;IP.1=0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0',
    ...organizations.flatMap((name, n) => [`[organization${n}]`, 'C=IT', `O=${escaped(name)}`]),
  ];
}

/** One certificate, as openssl sees it. */
export interface CertificateRequest {
  readonly directory: string;
  /** Base name of the files: `<file>.crt` and `<file>.key`. */
  readonly file: string;
  /** Attribute types and values of the subject, in order. */
  readonly subject: Readonly<Record<string, string>>;
  /** `rsa:` and a number of bits, or `ec:` and a curve. */
  readonly key: `rsa:${number}` | `ec:${string}`;
  /** Lines of an x509v3_config(5) section. */
  readonly extensions: readonly string[];
  /** Further sections that the extensions refer to. */
  readonly sections?: readonly string[];
  /** Absent: self-signed. */
  readonly issuer?: Issued;
  /** Digest of the certificate's signature. Default sha256. */
  readonly digest?: 'sha1' | 'sha256';
  /** In milliseconds since 1970. Default: an hour ago, and a year from then. */
  readonly validity?: { readonly from: number; readonly to: number };
}

/** Makes a fresh key and a certificate for it. Rejects with what openssl said. */
export async function certify(request: CertificateRequest): Promise<Issued> {
  const { directory, file, subject, key, extensions, sections = [], digest = 'sha256' } = request;
  const issued = { certificate: join(directory, `${file}.crt`), key: join(directory, `${file}.key`) };
  const from = Date.now() - 3_600_000;
  const validity = request.validity ?? { from, to: from + 365 * 86_400_000 };
  // `openssl ca`, as the other commands cannot set the start of the validity; its database lives as long as the call.
  const work = await mkdtemp(join(directory, '.openssl-'));
  try {
    const config = join(work, 'openssl.cnf');
    const signingRequest = join(work, 'request.pem');
    await writeFile(join(work, 'index.txt'), '');
    await writeFile(
      config,
      [
        ...['[req]', 'distinguished_name=subject', 'prompt=no', 'string_mask=utf8only'],
        '[subject]',
        ...Object.entries(subject).map(([type, value]) => `${type}=${escaped(value)}`),
        ...['[ca]', 'default_ca=authority', '[authority]', `database=${join(work, 'index.txt')}`],
        ...[`new_certs_dir=${work}`, 'rand_serial=yes', 'policy=any'],
        ...['[any]', 'commonName=optional'],
        ...['[extensions]', ...extensions, ...sections],
        '',
      ].join('\n'),
    );
    const curve = key.startsWith('ec:') ? key.slice(3) : undefined;
    const algorithm = curve ? ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`] : [key];
    const fresh = ['-newkey', ...algorithm, '-nodes', '-keyout', issued.key, '-out', signingRequest];
    await run('openssl', ['req', '-config', config, '-new', `-${digest}`, ...fresh]);
    const signer = request.issuer
      ? ['-cert', request.issuer.certificate, '-keyfile', request.issuer.key]
      : ['-selfsign', '-keyfile', issued.key];
    const period = ['-startdate', openSslTime(validity.from), '-enddate', openSslTime(validity.to)];
    const output = ['-extensions', 'extensions', '-in', signingRequest, '-out', issued.certificate];
    const signing = ['-batch', '-notext', '-preserveDN', '-md', digest, ...signer, ...period, ...output];
    await run('openssl', ['ca', '-config', config, ...signing]);
    return issued;
  } finally {
    await rm(work, { recursive: true });
  }
}

function escaped(value: string): string {
  return value.replace(/[\\$#"'`]/g, '\\$&');
}

/** YYYYMMDDHHMMSSZ */
function openSslTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
}
