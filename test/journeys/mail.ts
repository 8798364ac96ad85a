// A delivered mail file as tools that are not ours read it
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../src/demo/folders.ts';

const run = promisify(execFile);

export type XmlTree =
  | string
  | null
  | readonly (readonly [string, Readonly<Record<string, string>>, XmlTree])[];

export interface Mail {
  readonly header: readonly (readonly [string, string])[];
  /** Content type and, of a multipart, its parts; of another part, its file name. */
  readonly structure: readonly [string, unknown];
  /** Seconds since 1970. */
  readonly date: number;
  /** Verified by openssl against the anchors. */
  readonly signature?: { readonly time: number; readonly digest: string };
  readonly text?: string;
  readonly html?: string;
  /** daticert.xml, and the tree of it. */
  readonly xml?: string;
  readonly certified?: readonly ['postacert', Readonly<Record<string, string>>, XmlTree];
  /** postacert.eml, in base64. */
  readonly original?: string;
}

/** Rejects with what openssl said if the signature does not hold. */
export async function readMail(file: string, anchors: string): Promise<Mail> {
  const script = join(import.meta.dirname, 'mail.py');
  const { stdout } = await run('python3', [script, file, anchors], { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

/** The values of a field, in their order. */
export function fields(mail: Mail, name: string): readonly string[] {
  return mail.header.filter(([each]) => each.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/** The text of the one element at `path` below postacert, or of all of them. */
export function certified(mail: Mail, path: string): readonly (string | null)[] {
  const steps = path.split('/');
  const below = (tree: XmlTree | undefined, at: number): (string | null)[] => {
    if (at === steps.length) return [typeof tree === 'string' ? tree : null];
    return Array.isArray(tree)
      ? tree.filter(([name]) => name === steps[at]).flatMap(([, , child]) => below(child, at + 1))
      : [];
  };
  return below(mail.certified?.[2], 0);
}

/** Rejects with what xmllint said unless the XML is valid against the DTD of RFC 6109 §4.4. */
export async function validate(xml: string): Promise<void> {
  await using folder = await temporaryFolder('pecd-xml');
  const file = join(folder.path, 'daticert.xml');
  await writeFile(file, xml);
  const dtd = join(import.meta.dirname, '../../src/demo/postacert.dtd');
  await run('xmllint', ['--noout', '--nonet', '--dtdvalid', dtd, file]);
}
