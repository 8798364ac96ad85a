// What `pecd check` tries: one probe per thing that the configuration names
import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkDurable } from '../adapters/redis-queue.ts';
import { loadAnchors, loadCrls, loadDirectory } from '../adapters/trust-store.ts';
import { plainly, StartupError } from '../config/load.ts';
import type { MailStoreAddress, RelayAddress } from '../config/notations.ts';
import type { Config } from '../config/schema.ts';
import { assertAuthor, loadCertificate } from '../live.ts';
import { parseSenders } from '../pec/senders.ts';
import { domainOf } from '../pec/values.ts';
import { profileDeviations } from '../smime/certificate-path.ts';
import { pemSigner } from '../smime/sign.ts';
import { greet } from './greeting.ts';
import { withRedis } from './redis.ts';

export interface Probe {
  readonly check: string;
  /** The exit code when it fails; a StartupError brings its own. */
  readonly failure: 69 | 78;
  /** Resolves with what is worth knowing; rejects with what is wrong. Nothing is changed. */
  run(): Promise<string>;
}

/** The probes that `config` asks for, in the order of the file. */
export function probesOf(config: Config): readonly Probe[] {
  const { signing, trust, directory, redis, tls } = config;
  const senders = config.access?.senders;
  return [
    configured('key and certificate', () => keyAndCertificate(signing)),
    configured('provider.address', () => providerAddress(config)),
    configured('anchors', async () => `${(await loadAnchors(trust.anchors)).length} in ${trust.anchors}`),
    ...(trust.revocation === 'off' || trust.crls.length === 0
      ? []
      : [configured('revocation lists', () => revocationLists(trust.crls))]),
    configured('directory', () => providerDirectory(directory.source)),
    configured('spool', () => writable(config.spool)),
    configured('journal', () => writable(config.journal.directory)),
    ...(senders === undefined ? [] : [configured('senders', () => sendersIn(senders))]),
    ...(tls === undefined ? [] : [configured('tls', () => tlsPair(tls))]),
    reached('redis', () => durable(redis)),
    ...relaysOf(config).map(({ url, address }) =>
      reached(url, () => greet(address, domainOf(config.provider.address))),
    ),
  ];
}

function configured(check: string, run: Probe['run']): Probe {
  return { check, failure: 78, run };
}

function reached(check: string, run: Probe['run']): Probe {
  return { check, failure: 69, run };
}

async function keyAndCertificate({ certificate, key }: Config['signing']): Promise<string> {
  const pem = await text(certificate);
  const { certificates, keyType } = pemSigner(pem, await text(key));
  const facts = [`${keyType} key, ${certificates.length} certificates, the first ${validity(pem)}`];
  // Not a failure: other providers may take it all the same (RFC 6109 §5.5.2).
  return [...facts, ...certificates.slice(0, 1).flatMap(profileDeviations)].join('; ');
}

async function providerAddress({ provider, signing }: Config): Promise<string> {
  assertAuthor(provider.address, new X509Certificate(await text(signing.certificate)).raw);
  return `${provider.address} is in the certificate`;
}

async function providerDirectory(path: string): Promise<string> {
  const { directory, oddities } = await loadDirectory(path);
  const hours = Math.floor((Date.now() - (await stat(path)).mtimeMs) / 3_600_000);
  const facts = [`${directory.providers.length} providers`, `${hours} hours old`, ...oddities];
  return facts.join('; ');
}

async function revocationLists(paths: readonly string[]): Promise<string> {
  const { lists, oddities } = await loadCrls(paths);
  return [`${lists.length} in ${paths.join(', ')}`, ...oddities].join('; ');
}

async function sendersIn(path: string): Promise<string> {
  parseSenders(await text(path));
  return path;
}

async function tlsPair(tls: NonNullable<Config['tls']>): Promise<string> {
  return validity((await loadCertificate(tls)).cert);
}

/** Until when the first certificate of a PEM text is valid. Throws if it is not valid now. */
function validity(pem: string): string {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  const now = new Date();
  if (now < validFromDate)
    throw new Error(`the certificate is valid only from ${validFromDate.toISOString()}`);
  if (now > validToDate) throw new Error(`the certificate expired at ${validToDate.toISOString()}`);
  return `valid until ${validToDate.toISOString()}`;
}

/** A directory that is not there yet is made at the start, so what counts is the nearest one that is. */
async function writable(directory: string): Promise<string> {
  for (let here = directory; ; here = dirname(here)) {
    const found = await stat(here).catch(error => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) continue;
    if (!found.isDirectory()) throw new Error(`${here} is not a directory`);
    await access(here, constants.W_OK | constants.X_OK);
    return here === directory ? directory : `${directory}, to be made in ${here}`;
  }
}

function durable({ url, allowVolatile }: Config['redis']): Promise<string> {
  return withRedis(url, async redis => {
    await checkDurable(redis, { allowVolatile }).catch(cause => {
      throw new StartupError(78, plainly(cause), { cause });
    });
    return allowVolatile
      ? 'answers; allowVolatile: it may forget'
      : 'answers, and keeps what it acknowledges';
  });
}

/** Every server that we hand messages to, once. */
function relaysOf(config: Config): { url: string; address: RelayAddress | MailStoreAddress }[] {
  const { access: submission, incoming, delivery, receipts } = config;
  const addresses = [submission?.relay, incoming?.relay, receipts.relay, delivery?.mailStore];
  const byUrl = new Map(addresses.flatMap(address => (address ? [[urlOf(address), address] as const] : [])));
  return [...byUrl].map(([url, address]) => ({ url, address }));
}

function urlOf(address: RelayAddress | MailStoreAddress): string {
  if ('path' in address) return `${address.protocol}:unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${address.protocol}://${host}:${address.port}`;
}

function text(path: string): Promise<string> {
  return readFile(path, 'utf8');
}
