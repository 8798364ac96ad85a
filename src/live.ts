// What a reload replaces as one: key, trust, TLS certificate, senders, the default of mailboxes
import { readFile } from 'node:fs/promises';
import type { Certificate } from './adapters/smtp-listener.ts';
import { openTrust, type TrustStore } from './adapters/trust-store.ts';
import { plainly, StartupError } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { type AddressesOf, loginIsAddress, parseSenders } from './pec/senders.ts';
import { parseMailbox, sameMailbox } from './pec/values.ts';
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
  const { tls, access, directory, trust } = config;
  return {
    signer: await loadSigner(config),
    trust: await usable('trust', openTrust({ directory: directory.source, anchors: trust.anchors })),
    addressesOf: access?.senders === undefined ? loginIsAddress : await loadSenders(access.senders),
    ordinaryMail: config.incoming?.ordinaryMail ?? 'reject',
    ...(tls !== undefined && {
      certificate: await usable(
        'tls',
        textsOf(tls).then(([cert, key]) => ({ cert, key })),
      ),
    }),
  };
}

/** The key of the provider, after making sure that it may sign as `provider.address` (§2.1). */
export async function loadSigner({ provider, signing }: Config): Promise<Signer> {
  const signer = await usable(
    'signing',
    textsOf(signing).then(([certificate, key]) => pemSigner(certificate, key)),
  );
  const [leaf] = signer.certificates;
  const names = leaf === undefined ? [] : rfc822Names(leaf);
  if (names.some(name => sameMailbox(parseMailbox(name) ?? provider.serviceMailbox, provider.address)))
    return signer;
  const named = names.join(', ') || 'no address';
  throw new StartupError(
    78,
    `provider.address: ${provider.address} is not in the certificate ${signing.certificate}, which names ${named}`,
  );
}

async function loadSenders(path: string): Promise<AddressesOf> {
  const text = await usable('access.senders', readFile(path, 'utf8'));
  return usable(`access.senders: ${path}`, (async () => parseSenders(text))());
}

async function textsOf(files: { readonly certificate: string; readonly key: string }) {
  return [await readFile(files.certificate, 'utf8'), await readFile(files.key, 'utf8')] as const;
}

async function usable<T>(key: string, loaded: Promise<T>): Promise<T> {
  try {
    return await loaded;
  } catch (cause) {
    throw new StartupError(78, `${key}: ${plainly(cause)}`, { cause });
  }
}
