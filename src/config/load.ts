// The configuration file and the secrets it names -> Config. Every problem at once, each with its file and line
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isSeq,
  LineCounter,
  parseDocument,
} from 'yaml';
import type * as z from 'zod';
import { keyName, schemaAt } from './keys.ts';
import { PATH } from './kinds.ts';
import { type Config, configSchema } from './schema.ts';
import { unsupportedIn } from './unsupported.ts';

/** A configuration that cannot be used. Each line: `FILE:LINE: key: what is wrong and what to do`. */
export class ConfigError extends Error {
  readonly lines: readonly string[];
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

/** Why the daemon cannot start: 69 a service is unreachable, 78 something the configuration names is unusable. */
export class StartupError extends Error {
  readonly exitCode: 69 | 78;
  constructor(exitCode: 69 | 78, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
    this.exitCode = exitCode;
  }
}

/** What `preparing` resolves to; its failure becomes a StartupError with one line: `what`, and why. */
export async function required<T>(exitCode: 69 | 78, what: string, preparing: Promise<T>): Promise<T> {
  try {
    return await preparing;
  } catch (cause) {
    const isSilent = cause instanceof Error && cause.name === 'AbortError';
    const why = isSilent ? 'no answer in time' : plainly(cause);
    throw new StartupError(exitCode, `${what}: ${why}`, { cause });
  }
}

interface Problem {
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

/** Reads the YAML file at `path`. The files that its keys name are not opened, but for secrets. Throws a ConfigError. */
export async function loadConfig(path: string): Promise<Config> {
  const source = await readText(path);
  const lineCounter = new LineCounter();
  const document = parseDocument(source, { lineCounter, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map(
        ({ pos, code, message }) =>
          `${path}:${lineCounter.linePos(pos[0]).line}: ${yamlFaults[code] ?? message}`,
      ),
    );
  }
  const file = plainData(document, path);
  const secrets: Problem[] = [];
  const parsed = configSchema.safeParse(withSecrets(file, [], secrets), { error: complaint });
  const problems = [
    ...unsupportedIn(file).map(({ key, why }) => ({ path: key.split('.'), text: why })),
    ...secrets,
    ...(parsed.error?.issues ?? []).flatMap(problemsOf),
  ];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new ConfigError(
    withoutEchoes(problems)
      .map(({ path: key, text }) => ({ name: keyName(key), text, line: lineOf(document, lineCounter, key) }))
      .sort((a, b) => a.line - b.line)
      .map(({ name, text, line }) => `${path}:${line}: ${name === '' ? '' : `${name}: `}${text}`),
  );
}

const yamlFaults: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'this key is there twice: keep one of them',
  MULTIPLE_DOCS: 'a second document begins here: keep one of them',
  TAB_AS_INDENT: 'a tab in the indentation: use blanks',
};

/** One problem per key, the first; none about what is inside of a key that has one itself. */
function withoutEchoes(problems: readonly Problem[]): Problem[] {
  return problems.filter(
    ({ path }, at) =>
      !problems.some(
        (other, before) =>
          other.path.every((step, depth) => step === path[depth]) &&
          (other.path.length < path.length || before < at),
      ),
  );
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch(trouble => {
    throw new ConfigError([plainly(trouble)]);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${path}: is not UTF-8 text`]);
  }
}

function plainData(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (trouble) {
    // An alias that leads nowhere, or so many of them that expanding them would fill the memory.
    throw new ConfigError([`${path}: ${plainly(trouble)}`]);
  }
}

/** A copy of `value` where `file:PATH` and `cred:NAME` have become the secret; for keys that hold a path, the path of it. */
function withSecrets(value: unknown, path: readonly PropertyKey[], problems: Problem[]): unknown {
  if (Array.isArray(value)) return value.map((entry, at) => withSecrets(entry, [...path, at], problems));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, withSecrets(entry, [...path, key], problems)]),
    );
  }
  const [, scheme, rest = ''] = (typeof value === 'string' && /^(file|cred):(.+)$/s.exec(value)) || [];
  if (scheme === undefined) return value;
  try {
    const name = scheme === 'file' ? rest : credential(rest);
    return schemaAt(path)?.title === PATH ? name : readFileSync(name, 'utf8').trim();
  } catch (trouble) {
    problems.push({ path, text: `cannot read the secret: ${plainly(trouble)}` });
    return value;
  }
}

function credential(name: string): string {
  const directory = process.env.CREDENTIALS_DIRECTORY;
  if (directory === undefined)
    throw new Error('cred: needs systemd (LoadCredential=); use file:PATH elsewhere');
  if (name.includes('/')) throw new Error('the name of a credential has no slash');
  return join(directory, name);
}

/** What went wrong, without system call and stack: `/etc/x: no such file or directory`. */
export function plainly(trouble: unknown): string {
  if (!(trouble instanceof Error)) return String(trouble);
  const { errno, path } = trouble as NodeJS.ErrnoException;
  if (typeof errno !== 'number') return trouble.message;
  return `${path === undefined ? '' : `${path}: `}${getSystemErrorMessage(errno)}`;
}

/** What zod found, in our words; undefined keeps the words that the schema itself gives. */
function complaint(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'missing, and it has no default';
  if (issue.input === null) return 'empty: write a value or remove the line';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${expected[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map(String).join(' or ')}`;
    case 'too_small':
      return issue.origin === 'number' ? `must be at least ${issue.minimum}` : 'must not be empty';
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    default:
      return undefined;
  }
}

const expected: Readonly<Record<string, string>> = {
  object: 'a section: keys below it, indented',
  array: 'a list',
  string: 'text: put it in quotes',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, text: issue.message }];
  const known = Object.keys(schemaAt(issue.path)?.properties ?? {}).join(', ');
  return issue.keys.map(key => ({ path: [...issue.path, key], text: `unknown key; known here: ${known}` }));
}

/** The line of the key at `path`, or of the innermost section around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  let here: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(here)) here = here.resolve(document);
    if (isMap(here)) {
      const pair = here.items.find(({ key }) => String(key) === String(step));
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      here = pair.value;
    } else if (isSeq(here)) {
      here = here.items[Number(step)];
      offset = startOf(here) ?? offset;
    } else break;
  }
  return lines.linePos(offset).line;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
