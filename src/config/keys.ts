// The keys of the configuration as a tree of facts, read from the schema
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { TakesEffect } from './kinds.ts';
import { configSchema } from './schema.ts';

/** The part of JSON Schema (2020-12) that our schema makes use of. */
export interface KeySchema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly required?: readonly string[];
  readonly items?: KeySchema;
  readonly 'x-takes-effect'?: TakesEffect;
}

/** The configuration file as it is written, in JSON Schema. */
export const fileSchema: KeySchema = z.toJSONSchema(configSchema, {
  io: 'input',
  // zod takes examples for examples of the output, and drops them where the two differ. Ours are as written.
  override: ({ zodSchema, jsonSchema }) => {
    const examples = z.globalRegistry.get(zodSchema)?.examples;
    if (Array.isArray(examples)) jsonSchema.examples = examples;
  },
}) as KeySchema;

/** The schema of the key at `path`, list entries by their number; undefined for an unknown key. */
export function schemaAt(path: readonly PropertyKey[]): KeySchema | undefined {
  let here: KeySchema | undefined = fileSchema;
  for (const step of path) {
    here =
      typeof step === 'number'
        ? here?.items
        : here?.properties && Object.hasOwn(here.properties, step)
          ? here.properties[String(step)]
          : undefined;
  }
  return here;
}

/** `['access', 'listen', 1, 'port']` as `access.listen[1].port`. */
export function keyName(path: readonly PropertyKey[]): string {
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`))
    .join('');
}

/** The value of a plain key in a tree of records, or undefined. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (here, step) =>
      typeof here === 'object' && here !== null && Object.hasOwn(here, step)
        ? (here as Record<PropertyKey, unknown>)[step]
        : undefined,
    tree,
  );
}

/** The keys whose values differ between two configurations and stay as they were until the next start. */
export function waitingForRestart(running: object, wanted: object): string[] {
  const leaves = (schema: KeySchema, path: readonly string[]): (readonly string[])[] =>
    schema.properties
      ? Object.entries(schema.properties).flatMap(([name, below]) => leaves(below, [...path, name]))
      : schema['x-takes-effect'] === 'after a restart'
        ? [path]
        : [];
  return leaves(fileSchema, [])
    .filter(path => !isDeepStrictEqual(valueAt(running, path), valueAt(wanted, path)))
    .map(keyName);
}
