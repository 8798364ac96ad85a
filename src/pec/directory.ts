// The provider directory: who is a provider, by domain and by certificate. RFC 6109 §4.5
import type { Recipient } from './receipts.ts';
import { type Domain, domainOf, type Mailbox } from './values.ts';

export interface Provider {
  readonly name: string;
  /** Secondary operating environment (§4.5.7). */
  readonly unit?: string;
  /** Where take-charge receipts and virus notices go (§4.5.4). */
  readonly mailReceipt: Mailbox;
  readonly domains: readonly Domain[];
  readonly certificates: readonly ProviderCertificate[];
}

export interface ProviderCertificate {
  /** SHA-1 of the DER, 40 hex digits in lower case: the key of the directory, not a proof of identity. */
  readonly hash: string;
  readonly der: Uint8Array;
  /** The rfc822Names of the certificate: the provider's own addresses, authors of all it signs. */
  readonly addresses: readonly Mailbox[];
}

/** An immutable snapshot; every look-up is constant time. */
export interface Directory {
  readonly providers: readonly Provider[];
  /** The provider that manages a domain: a mailbox there is certified (§2.2.1). */
  providerOf(domain: Domain): Provider | undefined;
  /** Whose certificate this is, byte for byte: several entries where a secondary environment shares it (§4.5.7). */
  signersOf(hash: string, der: Uint8Array): readonly Provider[];
  /** Whether mail of this domain can be PEC: managed by a provider, or the domain of a provider's own address. */
  isProviderDomain(domain: Domain): boolean;
}

export function directoryOf(providers: readonly Provider[]): Directory {
  const byDomain = new Map<Domain, Provider>();
  const byCertificate = new Map<string, { provider: Provider; der: Uint8Array }[]>();
  const ownDomains = new Set<Domain>();
  for (const provider of providers) {
    for (const domain of provider.domains) if (!byDomain.has(domain)) byDomain.set(domain, provider);
    for (const { hash, der, addresses } of provider.certificates) {
      byCertificate.set(hash, [...(byCertificate.get(hash) ?? []), { provider, der }]);
      for (const address of addresses) ownDomains.add(domainOf(address));
    }
  }
  return {
    providers,
    providerOf: domain => byDomain.get(domain),
    signersOf: (hash, der) =>
      (byCertificate.get(hash.toLowerCase()) ?? [])
        .filter(entry => sameBytes(entry.der, der))
        .map(entry => entry.provider),
    isProviderDomain: domain => byDomain.has(domain) || ownDomains.has(domain),
  };
}

export function recipientKind(recipient: Mailbox, directory: Directory): Recipient['kind'] {
  return directory.providerOf(domainOf(recipient)) === undefined ? 'esterno' : 'certificato';
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
