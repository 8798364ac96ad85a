// Whom we trust: provider directory (LDIF, §4.5), anchors (PEM), revocation lists; read from files and swapped as one
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Directory, directoryOf, type Provider, type ProviderCertificate } from '../pec/directory.ts';
import { bytesOf, type LdifEntry, parseLdif, textsOf } from '../pec/ldif.ts';
import { type Domain, parseDomain, parseMailbox } from '../pec/values.ts';
import type { Trust } from '../points/ports.ts';
import { CrlError, type Revocation, type RevocationList, readCrl } from '../smime/crl.ts';
import { rfc822Names } from '../smime/sign.ts';

export interface LoadedDirectory {
  readonly directory: Directory;
  /** What in the file is not as it should be, one sentence each: an unusable entry is left out, never the file. */
  readonly oddities: readonly string[];
}

export interface TrustStore extends Trust {
  /** Of the directory and the revocation lists in force. */
  readonly oddities: readonly string[];
  /** Reads all files again; if one cannot be used it rejects, and what was in force stays. */
  reload(): Promise<void>;
}

export interface TrustFiles {
  /** Path of the directory. */
  readonly directory: string;
  /** Path of the anchors. */
  readonly anchors: string;
  readonly revocation: Revocation['mode'];
  /** Paths of the revocation lists; with revocation `off` they are not read. */
  readonly crls: readonly string[];
}

/** Reads the files. Rejects with one line that names the one at fault. */
export async function openTrust(files: TrustFiles): Promise<TrustStore> {
  const mode = files.revocation;
  const read = async () => {
    const [{ directory, oddities }, anchors, { lists, oddities: ofLists }] = await Promise.all([
      loadDirectory(files.directory),
      loadAnchors(files.anchors),
      loadCrls(mode === 'off' ? [] : files.crls),
    ]);
    return { directory, anchors, revocation: { mode, lists }, oddities: [...oddities, ...ofLists] };
  };
  let inForce = await read();
  return {
    get directory() {
      return inForce.directory;
    },
    get anchors() {
      return inForce.anchors;
    },
    get revocation() {
      return inForce.revocation;
    },
    get oddities() {
      return inForce.oddities;
    },
    async reload() {
      inForce = await read();
    },
  };
}

/** Reads an LDIF file. Rejects with one line if it cannot be read or names no provider at all. */
export async function loadDirectory(path: string): Promise<LoadedDirectory> {
  const { entries, oddities: form } = parseLdif(await textOf(path, 'provider directory'));
  const oddities = [...form];
  const providers = entries.filter(isProvider).flatMap(entry => providerOf(entry, oddities) ?? []);
  if (providers.length === 0) throw new Error(`provider directory ${path}: no usable provider in it`);
  const claims = new Map<Domain, Provider>();
  for (const provider of providers) {
    for (const domain of provider.domains) {
      const other = claims.get(domain);
      if (other !== undefined && other !== provider) {
        oddities.push(`${domain} is claimed by ${other.name} and by ${provider.name}: the first one has it`);
      }
      if (other === undefined) claims.set(domain, provider);
    }
  }
  return { directory: directoryOf(providers), oddities };
}

/** The certificates of a PEM file, as DER, in its order. Rejects with one line if there are none or one is no certificate. */
export async function loadAnchors(path: string): Promise<readonly Buffer[]> {
  const text = await textOf(path, 'trust anchors');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error(`trust anchors ${path}: no certificate in it`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block).raw;
    } catch (cause) {
      throw new Error(`trust anchors ${path}: certificate ${index + 1} cannot be read`, { cause });
    }
  });
}

export interface LoadedCrls {
  readonly lists: readonly RevocationList[];
  /** A list that is past its time, one sentence each: it tells nothing any more. */
  readonly oddities: readonly string[];
}

/** Reads revocation lists: files with one in DER, or with any number in PEM. Rejects with one line for the first that cannot be used. */
export async function loadCrls(paths: readonly string[]): Promise<LoadedCrls> {
  const now = Date.now();
  const lists: RevocationList[] = [];
  const oddities: string[] = [];
  for (const path of paths) {
    for (const der of derOfCrls(await bytesIn(path, 'revocation list'), path)) {
      const list = crlOf(der, path);
      lists.push(list);
      const { nextUpdate } = list;
      if (nextUpdate >= now) continue;
      oddities.push(`revocation list ${path}: the next was due at ${new Date(nextUpdate).toISOString()}`);
    }
  }
  return { lists, oddities };
}

function derOfCrls(file: Buffer, path: string): Buffer[] {
  const [, ...blocks] = file.toString('latin1').split('-----BEGIN X509 CRL-----');
  if (blocks.length === 0) return [file];
  return blocks.map(block => {
    // A file that is only half written has no end.
    const [, base64] = /^([^-]*)-----END X509 CRL-----/.exec(block) ?? [];
    if (base64 === undefined) throw new Error(`revocation list ${path}: a list in it has no end`);
    return Buffer.from(base64, 'base64');
  });
}

function crlOf(der: Buffer, path: string): RevocationList {
  try {
    return readCrl(der);
  } catch (cause) {
    if (!(cause instanceof CrlError)) throw cause;
    throw new Error(`revocation list ${path}: ${cause.message}`, { cause });
  }
}

async function textOf(path: string, what: string): Promise<string> {
  return (await bytesIn(path, what)).toString('utf8');
}

async function bytesIn(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(`${what} ${path}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function isProvider(entry: LdifEntry): boolean {
  return textsOf(entry, 'objectclass').some(one => one.toLowerCase() === 'provider');
}

/** The provider of an entry, or undefined if it lacks what every use of it needs; either way `oddities` says why. */
function providerOf(entry: LdifEntry, oddities: string[]): Provider | undefined {
  const odd = (what: string) => oddities.push(`line ${entry.line}, ${entry.dn}: ${what}`);
  const [name] = textsOf(entry, 'providername');
  const [unit] = textsOf(entry, 'providerunit');
  const mailReceipt = textsOf(entry, 'mailreceipt').map(parseMailbox)[0];
  const domains = textsOf(entry, 'manageddomains')
    // One domain a value is the rule; a list in one value is read as well.
    .flatMap(value => value.split(/[\s,;]+/))
    .filter(word => word !== '')
    .flatMap(word => {
      const domain = parseDomain(word);
      if (domain === undefined) odd(`managedDomains: not a domain: ${word}`);
      return domain ?? [];
    });
  const certificates = bytesOf(entry, 'providercertificate').flatMap(der => certificateOf(der, odd) ?? []);
  for (const listed of textsOf(entry, 'providercertificatehash')) {
    const hash = listed.replace(/[\s:]/g, '').toLowerCase();
    if (!certificates.some(one => one.hash === hash)) odd(`no certificate with the hash ${listed}`);
  }
  if (name === undefined || name === '' || mailReceipt === undefined) {
    odd(`left out, no usable ${mailReceipt === undefined ? 'mailReceipt' : 'providerName'}`);
    return undefined;
  }
  if (domains.length === 0) odd('no managed domain');
  if (certificates.length === 0) odd('no usable certificate');
  return { name, ...(unit && { unit }), mailReceipt, domains, certificates };
}

function certificateOf(der: Uint8Array, odd: (what: string) => void): ProviderCertificate | undefined {
  try {
    // Node's own copy: bytes after the certificate are not part of it.
    const { raw } = new X509Certificate(der);
    const hash = createHash('sha1').update(raw).digest('hex');
    const addresses = rfc822Names(raw).flatMap(name => parseMailbox(name) ?? []);
    if (addresses.length === 0) odd(`certificate ${hash} names no mailbox`);
    return { hash, der: raw, addresses };
  } catch {
    odd('providerCertificate: not a certificate');
    return undefined;
  }
}
