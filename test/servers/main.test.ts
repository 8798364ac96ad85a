// The command line as a shell sees it: exit codes, one clear line on standard error, output without a configuration
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exampleYaml, jsonSchema } from '../../src/config/reference.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const HINT = '(pecd --help shows what there is)\n';
const UNREADABLE = '/nonexistent.yaml: no such file or directory\n';

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function pecd(...words: string[]): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, [main, ...words], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

describe('what a shell sees', { concurrency: 4 }, () => {
  const failures: Record<string, Omit<Outcome, 'stdout'>> = {
    '': { code: 64, stderr: `pecd: no verb: say what to do ${HINT}` },
    config: { code: 64, stderr: `pecd: config what? example or schema ${HINT}` },
    'check --no-such-option': { code: 64, stderr: `pecd: Unknown argument: no-such-option ${HINT}` },
    'check -c a -c b': { code: 64, stderr: `pecd: --config given more than once ${HINT}` },
    'mailbox list -c /nonexistent.yaml': { code: 78, stderr: UNREADABLE },
  };
  for (const [words, expected] of Object.entries(failures)) {
    test(`pecd ${words}`, async () => {
      assert.deepEqual(await pecd(...words.split(' ').filter(Boolean)), { stdout: '', ...expected });
    });
  }

  test('pecd check prints its findings on standard output', async () => {
    assert.deepEqual(await pecd('check', '-c', '/nonexistent.yaml'), {
      code: 78,
      stdout: `FAIL configuration: ${UNREADABLE}`,
      stderr: '',
    });
  });

  test('pecd config example prints the example', async () => {
    assert.deepEqual(await pecd('config', 'example'), { code: 0, stdout: exampleYaml(), stderr: '' });
  });

  test('pecd config schema prints the JSON Schema', async () => {
    const { code, stdout } = await pecd('config', 'schema');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(jsonSchema())));
  });

  test('pecd --help names every verb and the exit codes', async () => {
    const { code, stdout } = await pecd('--help');
    assert.equal(code, 0);
    for (const verb of ['run', 'check', 'config', 'wrap', 'verify', 'mailbox', 'track', 'demo']) {
      assert.match(stdout, new RegExp(`^  pecd ${verb}\\b`, 'm'));
    }
    assert.match(stdout, /Exit codes: 0 .*, 1 .*, 64 .*, 69 .*, 78/);
  });
});
