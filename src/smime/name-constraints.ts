// Which names the certificates below a CA may bear. RFC 5280 §4.2.1.10
import { children, content, isTagged, type Node, parse, sequenceOf } from './asn1.ts';
import { alternativeNames, attributesOf, type Certificate, relativeNames, textOf } from './certificate.ts';
import { oids } from './oids.ts';

/** The context tags of GeneralName that are compared here. */
const RFC822_NAME = 1;
const DIRECTORY_NAME = 4;

/** A name of a certificate, or the base of a subtree. */
interface Name {
  /** The context tag of the GeneralName. */
  readonly form: number;
  /** Present for an rfc822Name. */
  readonly mail?: string;
  /** Present for a directoryName: one string per RDN. */
  readonly directory?: readonly string[];
}

export interface NameConstraints {
  readonly permitted: readonly Name[];
  readonly excluded: readonly Name[];
}

/** Reads the value of the extension. Throws Error if it is malformed or uses what RFC 5280 forbids. */
export function readNameConstraints(value: Buffer): NameConstraints {
  const parts = sequenceOf(parse(value));
  const subtrees = (tag: number) =>
    parts
      .filter(part => isTagged(part, tag))
      .flatMap(children)
      .map(base);
  return { permitted: subtrees(0), excluded: subtrees(1) };
}

function base(subtree: Node): Name {
  const [name, ...distances] = sequenceOf(subtree);
  if (name === undefined || distances.length > 0) throw new Error('a subtree with minimum or maximum');
  const read = readName(name);
  if (read.mail === '') throw new Error('a subtree of no host');
  return read;
}

/** The names that constraints apply to: the subject, and whatever stands in the subjectAltName. */
export function constrainedNames(certificate: Certificate): Name[] {
  const { subject } = certificate;
  const directory = relativeNames(subject);
  const mails = attributesOf(subject).filter(({ type }) => type === oids.emailAddress);
  return [
    ...(directory.length > 0 ? [{ form: DIRECTORY_NAME, directory }] : []),
    ...mails.map(({ value }) => ({ form: RFC822_NAME, mail: textOf(value) ?? '' })),
    ...alternativeNames(certificate).map(readName),
  ];
}

function readName(name: Node): Name {
  const form = Number(name.type);
  if (!isTagged(name, form)) throw new Error('a GeneralName without its tag');
  if (form === RFC822_NAME) return { form, mail: content(name) };
  if (form !== DIRECTORY_NAME) return { form };
  const [directory] = children(name);
  if (directory === undefined) throw new Error('an empty directoryName');
  return { form, directory: relativeNames(directory) };
}

/** Why the constraints forbid one of these names, or undefined if they do not. */
export function forbiddenName(
  { permitted, excluded }: NameConstraints,
  names: readonly Name[],
): string | undefined {
  for (const name of names) {
    const allowed = permitted.filter(({ form }) => form === name.form);
    const denied = excluded.filter(({ form }) => form === name.form);
    if (allowed.length + denied.length === 0) continue;
    if (name.mail === undefined && name.directory === undefined) {
      return `a name of form [${name.form}], which is constrained`;
    }
    const text = name.mail ?? 'its directory name';
    if (allowed.length > 0 && !allowed.some(subtree => within(name, subtree)))
      return `${text} is not permitted`;
    if (denied.some(subtree => within(name, subtree))) return `${text} is excluded`;
  }
  return undefined;
}

function within(name: Name, subtree: Name): boolean {
  if (name.directory !== undefined && subtree.directory !== undefined) {
    return subtree.directory.every((relative, index) => relative === name.directory?.[index]);
  }
  return name.mail !== undefined && subtree.mail !== undefined && mailWithin(name.mail, subtree.mail);
}

/** `user@host` is one mailbox, `host` all of that host, `.domain` all hosts below it. */
function mailWithin(mail: string, subtree: string): boolean {
  const [local, host] = splitMail(mail);
  const [onlyLocal, onlyHost] = splitMail(subtree);
  if (subtree.includes('@')) return local === onlyLocal && host === onlyHost;
  return onlyHost.startsWith('.') ? host.endsWith(onlyHost) : host === onlyHost;
}

function splitMail(text: string): readonly [local: string, host: string] {
  const at = text.lastIndexOf('@');
  return [text.slice(0, Math.max(at, 0)), text.slice(at + 1).toLowerCase()];
}
