// docs/rfc6109.md: which files answer for which section of RFC 6109, and why some sections have none. Made by `npm run generate`
//
// A citation is a section sign and a number, anywhere in a file of src/ or test/: in a comment, a description, a title.
// It belongs to the RFC that the same line names last before it. On a line that names none before it, it belongs to the
// RFC that the first line of the file names first, and to RFC 6109 if that line names none. A chapter is not cited by
// citing its sections, nor the other way round.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** The sections that ask something of a program, or might; numbers and titles as in the RFC. */
export const sections: ReadonlyMap<string, string> = new Map([
  ['2', 'PEC Model'],
  ['2.1', 'System-Generated Messages'],
  ['2.1.1', 'Message Types'],
  ['2.1.1.1', 'PEC Notifications'],
  ['2.1.1.1.1', 'Success PEC Notifications'],
  ['2.1.1.1.2', 'Delay PEC Notifications'],
  ['2.1.1.1.3', 'Failure PEC Notifications'],
  ['2.1.1.2', 'PEC Envelopes'],
  ['2.2', 'Basic Structure'],
  ['2.2.1', 'Access Point'],
  ['2.2.2', 'Incoming Point'],
  ['2.2.3', 'Delivery Point'],
  ['2.2.4', 'Storage'],
  ['2.2.5', 'Provider Service Mailbox'],
  ['2.2.6', 'Provider Service Email Address'],
  ['2.3', 'Log'],
  ['3', 'Message Processing'],
  ['3.1', 'Access Point'],
  ['3.1.1', 'Formal Checks on Messages'],
  ['3.1.2', 'Non-Acceptance PEC Notification Due to Formal Exceptions'],
  ['3.1.3', 'Non-Acceptance PEC Notification Due to Virus Detection'],
  ['3.1.4', 'Server-User Acceptance PEC Notification'],
  ['3.1.5', 'PEC Transport Envelope'],
  ['3.1.6', 'Timeout Delivery Error PEC Notification'],
  ['3.2', 'Incoming Point'],
  ['3.2.1', 'Server-Server Acceptance PEC Notification'],
  ['3.2.2', 'PEC Anomaly Envelope'],
  ['3.2.3', 'Virus Detection PEC Notification'],
  ['3.2.4', 'Virus-Induced Delivery Error PEC Notification'],
  ['3.3', 'Delivery Point'],
  ['3.3.1', 'Checks on Incoming Messages'],
  ['3.3.2', 'Delivery PEC Notification'],
  ['3.3.2.1', 'Delivery PEC Notification: Complete'],
  ['3.3.2.2', 'Delivery PEC Notification: Brief'],
  ['3.3.2.3', 'Delivery PEC Notification: Concise'],
  ['3.3.3', 'Non-Delivery PEC Notification'],
  ['3.4', 'Sender and Receiver Belonging to the Same Domain'],
  ['3.5', 'Example: Complete Transaction between Two PEC Domains'],
  ['4', 'Formats'],
  ['4.1', 'Temporal Reference'],
  ['4.2', 'User Date/Time'],
  ['4.3', 'Format of a PEC Message Body'],
  ['4.3.1', 'User Readable Text'],
  ['4.3.2', 'Original Message'],
  ['4.3.3', 'Certification Data'],
  ['4.4', 'Certification Data Scheme'],
  ['4.5', 'PEC Providers Directory Scheme'],
  ['4.5.1', 'providerCertificateHash Attribute'],
  ['4.5.2', 'providerCertificate Attribute'],
  ['4.5.3', 'providerName Attribute'],
  ['4.5.4', 'mailReceipt Attribute'],
  ['4.5.5', 'managedDomains Attribute'],
  ['4.5.6', 'LDIFLocationURL Attribute'],
  ['4.5.7', 'providerUnit Attribute'],
  ['4.5.8', 'LDIFLocationURLObject Object Class'],
  ['4.5.9', 'Provider Object Class'],
  ['4.5.10', 'LDIF File Example'],
  ['5', 'Security-Related Aspects'],
  ['5.1', 'Digital Signature'],
  ['5.2', 'Authentication'],
  ['5.3', 'Secure Interaction'],
  ['5.4', 'Virus'],
  ['5.5', 'S/MIME Certificate'],
  ['5.5.1', 'Provider-Related Information (Subject)'],
  ['5.5.2', 'Certificate Extensions'],
  ['5.5.3', 'Example'],
  ['5.5.3.1', 'General-Use Certificate in Annotated Version'],
  ['5.5.3.2', 'General-Use Certificate in Dump ASN.1'],
  ['5.6', 'PEC Providers Directory'],
  ['6', 'PEC System Client Technical and Functional Prerequisites'],
]);

/** May be cited, and asks nothing: the definitions of terms. */
const TERMS = '1.2.3';

const CHAPTER = 'Asks nothing beyond its sections.';
const EXAMPLE = 'An example.';
const SCHEMA = 'For LDAP servers; entries are read by their attributes.';

/** Why a section has no code or no test that cites it, or what else is to be known. */
export const remarks: ReadonlyMap<string, string> = new Map([
  ['2', CHAPTER],
  ['2.1.1', CHAPTER],
  ['2.1.1.1', CHAPTER],
  ['2.1.1.1.1', 'Each receipt under its own section, 3.1.4, 3.2.1 and 3.3.2.'],
  ['2.1.1.1.2', 'The notices of 3.1.6.'],
  ['2.1.1.1.3', 'Each notice under its own section, 3.1.2, 3.1.3, 3.2.3 and 3.2.4.'],
  ['2.2', CHAPTER],
  ['2.2.4', 'Tested with 3.1.3 and 3.2.3.'],
  ['2.2.5', 'The key `provider.serviceMailbox`; nothing else is sent there than 3.2.1 and 3.2.3 say.'],
  ['2.2.6', 'The key `provider.address`; the signing certificate must bear it (2.1).'],
  ['3', CHAPTER],
  ['3.1', CHAPTER],
  ['3.1.4', 'Tested with 2.2.1.'],
  ['3.3.1', 'The type of a message is that of 2.2.2; which receipt it earns, 2.2.3 and 3.3.2 say.'],
  ['3.3.2.3', 'With 3.3.2.1: the same receipt without the original.'],
  ['3.5', 'An example; `npm run demo` plays it.'],
  ['4', CHAPTER],
  ['4.3.2', 'With 4.3.'],
  ['4.3.3', 'With 4.3. Providers write `daticert.xml`; the name in the RFC is understood.'],
  ['4.5', 'Tested with 4.5.10.'],
  ['4.5.1', 'With 4.5 and 4.5.10.'],
  ['4.5.2', 'With 4.5 and 4.5.10.'],
  ['4.5.3', 'With 4.5 and 4.5.10.'],
  ['4.5.4', 'Tested with 3.2.1 and 4.5.10.'],
  ['4.5.5', 'With 4.5 and 4.5.10.'],
  ['4.5.6', 'Not in this version, as 5.6.'],
  ['4.5.8', SCHEMA],
  ['4.5.9', SCHEMA],
  ['5', CHAPTER],
  ['5.1', 'A recommendation to use a hardware module: not in this version (`signing.key`).'],
  [
    '5.2',
    'The listener asks for a login, the MTA judges it (`access.auth`); the sender is checked with 2.2.1.',
  ],
  ['5.3', 'TLS of our listeners is configured (`tls`); towards other providers it is the MTA that sends.'],
  ['5.4', 'Tested with 3.1.3 and 3.2.3.'],
  ['5.5.1', 'For the CA; the certificates of the demo are made like that (5.5).'],
  ['5.5.3', EXAMPLE],
  ['5.5.3.1', EXAMPLE],
  ['5.5.3.2', EXAMPLE],
  ['5.6', 'Not in this version: the directory is read from a file (`directory.source`).'],
  ['6', 'For the mail client of the user.'],
]);

/** By section: the files that cite it, relative to the root of the project, sorted. */
type Citations = ReadonlyMap<string, readonly string[]>;

/** The sections of RFC 6109 that a source text cites, by the convention above. */
export function citedSections(source: string): ReadonlySet<string> {
  const cited = new Set<string>();
  const lines = source.split('\n');
  const home = /RFC (\d+)/.exec(lines[0] ?? '')?.[1] ?? '6109';
  for (const line of lines) {
    let document = home;
    for (const [, rfc, section] of line.matchAll(/RFC (\d+)|§(\d+(?:\.\d+)*)/g)) {
      if (rfc !== undefined) document = rfc;
      else if (section !== undefined && document === '6109') cited.add(section);
    }
  }
  return cited;
}

/** Who cites what below a folder of the project. */
export function citationsIn(folder: 'src' | 'test'): Citations {
  const citations = new Map<string, string[]>();
  for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.ts') || /^rfc6109\./.test(name)) continue;
    for (const section of citedSections(readFileSync(join(ROOT, folder, name), 'utf8'))) {
      citations.set(section, [...(citations.get(section) ?? []), `${folder}/${name}`]);
    }
  }
  return citations;
}

/** The sections that are cited, but are not there. */
export function unknownSections(citations: Citations): readonly string[] {
  return [...citations.keys()].filter(section => section !== TERMS && !sections.has(section));
}

const INTRO = `# RFC 6109, section by section

Made by \`npm run generate\` from the sections that the files cite; titles are those of the RFC. Where real traffic differs
from the RFC, the code follows real traffic and says so.

| section | title | code | tests | remark |
|---|---|---|---|---|
`;

/** The page, as Markdown. */
export function rfc6109Map(): string {
  const [code, tests] = [citationsIn('src'), citationsIn('test')];
  const links = (files: readonly string[] = []) =>
    files.map(file => `[${file.replace(/^\w+\//, '')}](../${file})`).join(', ');
  const rows = [...sections].map(
    ([section, title]) =>
      `| ${section} | ${title} | ${links(code.get(section))} | ${links(tests.get(section))} | ${remarks.get(section) ?? ''} |\n`,
  );
  return INTRO + rows.join('');
}

if (import.meta.main) writeFileSync(join(ROOT, 'docs/rfc6109.md'), rfc6109Map());
