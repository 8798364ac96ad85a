// The reference of the configuration, made from the schema: example file, JSON Schema for editors, documentation
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { fileSchema, type KeySchema } from './keys.ts';
import { unsupported } from './unsupported.ts';

/** A key with its place: `path` has the names of the sections around it, `[]` for the entries of a list. */
interface Key {
  readonly name: string;
  readonly path: string;
  readonly schema: KeySchema;
  readonly required: boolean;
}

const EXAMPLE_INTRO = `# Configuration of pecd. Printed by \`pecd config example\`; every key is explained in docs/configuration.md.
# Durations: 3s, 30m, 12h, 7d, 30 months (of 30.5 days). Sizes: 256KB, 30MB, 1GB (steps of 1024).
# A value can stay out of this file: file:PATH stands for the content of a file, cred:NAME for that of a
# systemd credential. Where a key holds a path, cred:NAME stands for the path of the credential.
`;

/** The commented example: every key with its meaning, at its default where it has one. It loads as it is. */
export function exampleYaml(): string {
  const blocks = keysOf(fileSchema, '').map(key => `${exampleLines(key).join('\n')}\n`);
  return [EXAMPLE_INTRO, ...blocks].join('\n');
}

function exampleLines(key: Key): string[] {
  const { name, path, schema, required } = key;
  const value = exampleValue(key);
  const lines = schema.properties
    ? [`${name}:`, ...keysOf(schema, path).flatMap(child => exampleLines(child).map(line => `  ${line}`))]
    : [`${name}: ${inline(value)}`];
  const isDefault = value === schema.default;
  const remarks = [
    schema.description,
    required && !schema.properties && 'Required.',
    schema.default !== undefined && !schema.properties && !isDefault && `Default: ${inline(schema.default)}.`,
    gapOf(path),
  ];
  const commentedOut = leftOut(key);
  return [
    ...wrapped(remarks.filter(Boolean).join(' ')).map(line => `# ${line}`),
    ...lines.map(line => (commentedOut ? `#${line}` : line)),
  ];
}

function exampleValue({ path, schema }: Key): unknown {
  return unsupported.find(row => row.key === path)?.instead ?? schema.default ?? schema.examples?.[0];
}

/** Whether the file loads only, or says the same, without the key. */
function leftOut(key: Key): boolean {
  const { path, schema, required } = key;
  const value = exampleValue(key) ?? {};
  if (unsupported.some(row => row.key === path && row.refused(value))) return true;
  return schema.properties ? keysOf(schema, path).every(leftOut) : !required && schema.default === undefined;
}

/** JSON Schema (2020-12) of the file as it is written, for editors. */
export function jsonSchema(): object {
  return { ...fileSchema, title: 'Configuration of pecd' };
}

const MARKDOWN_INTRO = `# Configuration

Made from \`src/config/schema.ts\` by \`npm run generate\`: change it there.

The file is YAML, \`/etc/pecd/pecd.yaml\` unless \`--config\` names another. An unknown key is an error. \`pecd config example\`
prints a commented example, \`pecd config schema\` the JSON Schema for editors, and \`pecd check\` tries what the file says.

- **Durations**: \`3s\`, \`30m\`, \`12h\`, \`7d\`, \`30 months\`. A month has 30.5 days.
- **Sizes**: \`512B\`, \`256KB\`, \`30MB\`, \`1GB\`. Each unit is 1024 of the one before: \`30MB\` is 31,457,280 bytes.
- **Secrets** can stay out of the file: \`file:PATH\` stands for the content of a file, \`cred:NAME\` for that of a systemd
  credential (\`LoadCredential=\`), both without the white space around it. Where a key holds a path, they stand for the path.
- **In force**: SIGHUP (\`systemctl reload pecd\`) reads the file again. Some keys wait for a restart; the daemon names those
  that changed. A file with an error leaves the old configuration in force.
`;

/** The reference, as one page of Markdown. */
export function configurationMarkdown(): string {
  const sections = keysOf(fileSchema, '').filter(({ schema }) => schema.properties);
  const loose = keysOf(fileSchema, '').filter(({ schema }) => !schema.properties);
  return [
    MARKDOWN_INTRO,
    ...sections.map(
      section => `## ${section.name}\n\n${about(section)}\n\n${table(keysOf(section.schema, section.path))}`,
    ),
    `## Outside of any section\n\n${table(loose)}`,
  ].join('\n');
}

function about({ path, schema, required }: Key): string {
  return [schema.description, required && 'Required.', gapOf(path)].filter(Boolean).join(' ');
}

function table(keys: readonly Key[]): string {
  const rows = keys.flatMap(leavesOf).map(key => {
    const { path, schema, required } = key;
    const value = schema.enum?.map(code).join(', ') ?? notation(schema);
    const usual =
      schema.default === undefined ? (required ? 'required' : 'none') : code(inline(schema.default));
    return `| ${code(path)} | ${value} | ${usual} | ${schema['x-takes-effect'] ?? ''} | ${about({ ...key, required: false })} |`;
  });
  return `${['| key | value | default | in force | meaning |', '|---|---|---|---|---|', ...rows].join('\n')}\n`;
}

/** A key and the keys in the entries of its list; of a section only the keys in it. */
function leavesOf(key: Key): Key[] {
  if (key.schema.properties) return keysOf(key.schema, key.path).flatMap(leavesOf);
  return key.schema.items?.properties ? [key, ...keysOf(key.schema.items, `${key.path}[]`)] : [key];
}

function notation({ type, title, items }: KeySchema): string {
  if (items) return `list of ${items.properties ? 'records' : `${notation(items)} values`}`;
  return title ?? { string: 'text', integer: 'whole number' }[type ?? ''] ?? type ?? '';
}

function keysOf({ properties = {}, required = [] }: KeySchema, path: string): Key[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    path: path === '' ? name : `${path}.${name}`,
    schema,
    required: required.includes(name),
  }));
}

/** What this version cannot do with the key, as a sentence. */
function gapOf(path: string): string | undefined {
  const why = unsupported.find(row => row.key === path)?.why;
  return why && `${why.slice(0, 1).toUpperCase()}${why.slice(1)}.`;
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

function wrapped(text: string): string[] {
  return text.match(/\S.{0,94}(?=\s|$)/g) ?? [];
}

/** The generated files by their place in the source tree. */
export function referenceFiles(): Readonly<Record<string, string>> {
  return {
    'config/pecd.example.yaml': exampleYaml(),
    'config/pecd.schema.json': `${JSON.stringify(jsonSchema(), null, 2)}\n`,
    'docs/configuration.md': configurationMarkdown(),
  };
}

if (import.meta.main) {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  for (const [file, content] of Object.entries(referenceFiles())) await writeFile(root + file, content);
}
