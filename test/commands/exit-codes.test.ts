// What each kind of error says to the caller
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { failure, UsageError } from '../../src/commands/exit-codes.ts';
import { ConfigError, StartupError } from '../../src/config/load.ts';

test('foreseen errors are told without a stack', async () => {
  const missing = await readFile('/nonexistent').catch(error => error);
  assert.deepEqual(failure(new UsageError('no')), { exitCode: 64, lines: ['pecd: no'] });
  assert.deepEqual(failure(new StartupError(69, 'away')), { exitCode: 69, lines: ['pecd: away'] });
  assert.deepEqual(failure(new StartupError(78, 'unfit')), { exitCode: 78, lines: ['pecd: unfit'] });
  assert.deepEqual(failure(new ConfigError(['a:1: b', 'a:2: c'])), {
    exitCode: 78,
    lines: ['a:1: b', 'a:2: c'],
  });
  assert.deepEqual(failure(missing), {
    exitCode: 1,
    lines: ['pecd: /nonexistent: no such file or directory'],
  });
});

test('an error nobody foresaw keeps its stack', () => {
  const { exitCode, lines } = failure(new TypeError('odd'));
  assert.equal(exitCode, 1);
  assert.match(lines.join('\n'), /^pecd: TypeError: odd\n\s+at /);
});
