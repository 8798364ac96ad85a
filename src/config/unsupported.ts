// What the configuration can say and this version cannot do: refused with its reason, never accepted in silence
import { valueAt } from './keys.ts';

/** One row per gap; who closes the gap deletes the row. */
export interface Unsupported {
  readonly key: string;
  /** Whether this value, as it stands in the file, asks for the missing part; undefined where the key is not written. */
  refused(value: unknown): boolean;
  /** What is missing, and what to do. */
  readonly why: string;
  /** The value that works, where the default does not. */
  readonly instead?: unknown;
}

const written = (value: unknown) => value !== undefined;
const startsWith = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

export const unsupported: readonly Unsupported[] = [
  {
    key: 'signing.key',
    refused: startsWith(/^pkcs11:/),
    why: 'PKCS#11 tokens are not in this version; name a PEM file',
  },
  {
    key: 'trust.crls',
    refused: value => Array.isArray(value) && value.some(startsWith(/^[a-z]+:\/\//i)),
    why: 'fetching revocation lists is not in this version; name files',
    instead: ['/etc/pecd/revoked.crl'],
  },
  {
    key: 'directory.source',
    refused: startsWith(/^(?:https?|ldaps?):/),
    why: 'fetching the directory is not in this version; name an LDIF file',
  },
  {
    key: 'redis.url',
    refused: startsWith(/^(?:redis[+-])?(?:sentinel|cluster)\b/),
    why: 'Redis Sentinel and Cluster are not in this version; name one server',
  },
  {
    key: 'access.auth',
    refused: startsWith(/^(?:dovecot:|trusted$)/),
    why: 'only relay is in this version; write auth: relay',
  },
  {
    key: 'access.trustedNetworks',
    refused: written,
    why: 'XCLIENT and XFORWARD are not in this version; remove the line',
  },
  {
    key: 'journal.timestampUrl',
    refused: written,
    why: 'time stamps are not in this version; remove the line',
  },
];

/** The rows that `file`, the YAML as plain data, runs into. */
export function unsupportedIn(file: unknown): readonly Unsupported[] {
  return unsupported.filter(row => row.refused(valueAt(file, row.key.split('.'))));
}
