// Revocation lists by openssl, for any authority that has its files on disk
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Issued } from '../../src/demo/pki.ts';

const run = promisify(execFile);
const HOUR = 3_600_000;

/** Instants in milliseconds since 1970; openssl counts in seconds. */
export interface ListRequest {
  readonly issuer: Issued;
  /** Default: none. */
  readonly revoked?: readonly { readonly certificate: Issued; readonly since: number }[];
  /** Default: an hour ago. */
  readonly thisUpdate?: number;
  /** Default: in an hour. */
  readonly nextUpdate?: number;
  /** Default: sha256. */
  readonly digest?: string;
  /** Lines of an x509v3_config(5) section. Default: a number. */
  readonly extensions?: readonly string[];
}

/** A revocation list, PEM. */
export async function revocationList(request: ListRequest): Promise<string> {
  const { issuer, revoked = [], digest = 'sha256', extensions = ['2.5.29.20=ASN1:INTEGER:7'] } = request;
  const { thisUpdate = Date.now() - HOUR, nextUpdate = Date.now() + HOUR } = request;
  const work = await mkdtemp(join(dirname(issuer.certificate), '.crl-'));
  try {
    const config = join(work, 'openssl.cnf');
    const index = await Promise.all(
      revoked.map(async ({ certificate, since }) => {
        const { serialNumber } = new X509Certificate(await readFile(certificate.certificate));
        return `R\t991231235959Z\t${openSslTime(since).slice(2)}\t${serialNumber}\tunknown\t/CN=x\n`;
      }),
    );
    await writeFile(join(work, 'index.txt'), index.join(''));
    await writeFile(
      config,
      [
        ...['[ca]', 'default_ca=authority', '[authority]', `database=${join(work, 'index.txt')}`],
        ...['[list]', ...extensions, ''],
      ].join('\n'),
    );
    const signer = ['-cert', issuer.certificate, '-keyfile', issuer.key, '-md', digest];
    const period = ['-crl_lastupdate', openSslTime(thisUpdate), '-crl_nextupdate', openSslTime(nextUpdate)];
    const form = extensions.length > 0 ? ['-crlexts', 'list'] : [];
    const made = await run('openssl', ['ca', '-config', config, '-gencrl', ...signer, ...period, ...form]);
    return made.stdout;
  } finally {
    await rm(work, { recursive: true });
  }
}

/** The bytes of the one list in a PEM text. */
export function derOfList(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]*-----|\s/g, ''), 'base64');
}

/** YYYYMMDDHHMMSSZ */
function openSslTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
}
