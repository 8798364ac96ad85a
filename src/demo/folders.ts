// A temporary folder that goes when its owner is done, and when the process ends in any other way
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const left = new Set<string>();

process.on('exit', () => {
  for (const path of left) rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** Other users may pass through it, but not list it: mail servers give up their privileges. */
export async function temporaryFolder(name: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `${name}-`));
  left.add(path);
  await chmod(path, 0o711);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, maxRetries: 20, retryDelay: 50 });
      left.delete(path);
    },
  };
}
