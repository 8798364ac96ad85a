// The generated reference: fresh, complete, and true
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileSchema, type KeySchema, schemaAt } from '../../src/config/keys.ts';
import { configurationMarkdown, exampleYaml, referenceFiles } from '../../src/config/reference.ts';
import { unsupported } from '../../src/config/unsupported.ts';

describe('the generated files are those of the schema (npm run generate)', () => {
  for (const [file, content] of Object.entries(referenceFiles())) {
    test(file, async () => {
      assert.equal(await readFile(new URL(`../../${file}`, import.meta.url), 'utf8'), content);
    });
  }
});

const leaves = (schema: KeySchema, path: string[] = []): { path: string[]; schema: KeySchema }[] =>
  Object.entries(schema.properties ?? {}).flatMap(([name, below]) =>
    below.properties ? leaves(below, [...path, name]) : [{ path: [...path, name], schema: below }],
  );

test('every key has a meaning, says when it is in force, and has a default or an example', () => {
  for (const { path, schema } of leaves(fileSchema)) {
    const name = path.join('.');
    assert.ok(schema.description, name);
    assert.ok(schema['x-takes-effect'], name);
    assert.ok(schema.default !== undefined || schema.examples, name);
  }
});

test('every key is in the example and in the documentation', () => {
  const example = exampleYaml();
  const documentation = configurationMarkdown();
  for (const { path } of leaves(fileSchema)) {
    assert.match(example, new RegExp(`^[# ]*${path.at(-1)}: `, 'm'));
    assert.ok(documentation.includes(`\`${path.join('.')}\``), path.join('.'));
  }
});

test('what is not supported is about keys that there are', () => {
  for (const { key } of unsupported) assert.ok(schemaAt(key.split('.')), key);
});
