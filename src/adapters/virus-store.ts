// Infected messages, kept 30 months (§2.2.4): DIR/YYYY-MM/NAME.eml, and what is known of each beside it in NAME.json
import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { VirusStore } from '../points/ports.ts';

export interface VirusStoreOptions {
  /** Milliseconds since 1970: names the month's directory, in UTC. */
  readonly now?: () => number;
}

/**
 * Opens the store in `directory` (made if missing). Names have letters, digits and `._@-`, not a dot first, 200 at most.
 * Nothing is ever overwritten or removed: whoever ends the retention removes the directories of old months.
 */
export async function openVirusStore(
  directory: string,
  { now = Date.now }: VirusStoreOptions = {},
): Promise<VirusStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    async store(name, message, facts) {
      if (!/^[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,199}$/.test(name))
        throw new Error(`not a name for the virus store: ${name}`);
      if (await isStored(directory, name)) return;
      const month = join(directory, new Date(now()).toISOString().slice(0, 7));
      await mkdir(month, { recursive: true, mode: 0o700 });
      await syncDirectory(directory);
      await keep(join(month, `${name}.eml`), message);
      // Last, because it says that the message is stored.
      await keep(join(month, `${name}.json`), `${JSON.stringify(facts, null, 2)}\n`);
    },
  };
}

async function isStored(directory: string, name: string): Promise<boolean> {
  for (const month of await readdir(directory)) {
    const found = await access(join(directory, month, `${name}.json`)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/** Under `path` the file is whole, or not there: it is written under another name. On disk when it resolves. */
async function keep(path: string, content: AsyncIterable<Buffer> | string): Promise<void> {
  const part = `${path}.${randomUUID()}`;
  try {
    await using file = await open(part, 'wx', 0o600);
    await file.writeFile(content);
    await file.sync();
    await rename(part, path);
    await syncDirectory(dirname(path));
  } catch (trouble) {
    await rm(part, { force: true });
    throw trouble;
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
