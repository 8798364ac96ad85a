// What a reload replaces as one: key, trust, TLS certificate, senders, the default of mailboxes
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Certificate } from './adapters/smtp-listener.ts';
import { openTrust, type TrustStore } from './adapters/trust-store.ts';
import { plainly, required } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { type AddressesOf, loginIsAddress, parseSenders } from './pec/senders.ts';
import { type Mailbox, parseMailbox, sameMailbox } from './pec/values.ts';
import { pemSigner, rfc822Names, type Signer } from './smime/sign.ts';

export interface Live {
  readonly signer: Signer;
  readonly trust: TrustStore;
  readonly addressesOf: AddressesOf;
  readonly certificate?: Certificate;
  readonly ordinaryMail: 'accept' | 'reject';
}

/** Reads every file that the configuration names. Throws a StartupError (78) with one line for the first that cannot be used. */
export async function loadLive(config: Config): Promise<Live> {
  const { tls, access } = config;
  const trust = { ...config.trust, directory: config.directory.source };
  return {
    signer: await loadSigner(config),
    trust: await required(78, 'trust', openTrust(trust)),
    addressesOf: access?.senders === undefined ? loginIsAddress : await loadSenders(access.senders),
    ordinaryMail: config.incoming?.ordinaryMail ?? 'reject',
    ...(tls !== undefined && { certificate: await required(78, 'tls', loadCertificate(tls)) }),
  };
}

/** The key of the provider, after making sure that it may sign as `provider.address` (§2.1). */
async function loadSigner({ provider, signing }: Config): Promise<Signer> {
  const [certificate, key] = await required(78, 'signing', textsOf(signing));
  const signer = await required(78, 'signing', (async () => pemSigner(certificate, key))());
  const [leaf] = signer.certificates;
  await required(78, 'provider.address', (async () => assertAuthor(provider.address, leaf))());
  return signer;
}

/** Throws Error with one line unless the certificate (DER) names `address`, the author of all that it signs. */
export function assertAuthor(address: Mailbox, leaf: Buffer | undefined): void {
  const names = leaf === undefined ? [] : rfc822Names(leaf);
  if (names.flatMap(name => parseMailbox(name) ?? []).some(name => sameMailbox(name, address))) return;
  throw new Error(`${address} is not in the certificate, which names ${names.join(', ') || 'no address'}`);
}

/** Certificate and key of the mail listeners. Rejects with one line if they cannot be used together. */
export async function loadCertificate(files: NonNullable<Config['tls']>): Promise<Certificate> {
  const [cert, key] = await textsOf(files);
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    // OpenSSL puts its own bearings first: error:05800074:x509 certificate routines::key values mismatch
    const reason = plainly(cause).replace(/^error:.*:/, '');
    throw new Error(`${files.certificate} and ${files.key} cannot be used together: ${reason}`, { cause });
  }
  return { cert, key };
}

async function loadSenders(path: string): Promise<AddressesOf> {
  const text = await required(78, 'access.senders', readFile(path, 'utf8'));
  return required(78, `access.senders: ${path}`, (async () => parseSenders(text))());
}

async function textsOf(files: { readonly certificate: string; readonly key: string }) {
  return [await readFile(files.certificate, 'utf8'), await readFile(files.key, 'utf8')] as const;
}
