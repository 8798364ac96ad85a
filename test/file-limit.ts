// A disk that is full, as far as this process can tell: no file of its own grows beyond a limit
import { execFileSync } from 'node:child_process';

/** Runs `act` while writing beyond `bytes` of any file fails with EFBIG. */
export async function withFileLimit(bytes: number, act: () => Promise<unknown>): Promise<void> {
  const limit = (soft: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  const before = execFileSync('prlimit', ['--fsize', '--noheadings', '--output', 'SOFT'], {
    encoding: 'utf8',
  });
  limit(String(bytes));
  try {
    await act();
  } finally {
    limit(before.trim());
  }
}
