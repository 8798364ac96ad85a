// A provider directory as the LDIF file that every provider keeps a copy of. RFC 6109 §4.5.10; RFC 2849
import { createHash } from 'node:crypto';

export interface DirectoryEntry {
  /** ASCII, without comma. */
  readonly name: string;
  readonly mailReceipt: string;
  readonly domains: readonly string[];
  /** DER of the signing certificates. */
  readonly certificates: readonly Buffer[];
}

/** The base entry and one entry for each provider's main environment. Lines are folded at 76 characters. */
export function directoryLdif(entries: readonly DirectoryEntry[]): string {
  const base = [
    'dn: o=postacert',
    'objectClass: top',
    'objectClass: organization',
    'o: postacert',
    'description: Base root for the PEC providers directory',
  ];
  const providers = entries.map(({ name, mailReceipt, domains, certificates }) => [
    `dn: providerName=${name},o=postacert`,
    'objectClass: top',
    'objectClass: provider',
    `providerName: ${name}`,
    ...certificates.flatMap(der => [
      `providerCertificateHash: ${createHash('sha1').update(der).digest('hex')}`,
      `providerCertificate;binary:: ${der.toString('base64')}`,
    ]),
    `mailReceipt: ${mailReceipt}`,
    ...domains.map(domain => `managedDomains: ${domain}`),
  ]);
  const records = [['version: 1'], base, ...providers];
  return records.map(lines => `${lines.map(folded).join('\n')}\n`).join('\n');
}

function folded(line: string): string {
  return line.match(/^.{1,76}|.{1,75}/g)?.join('\n ') ?? '';
}
