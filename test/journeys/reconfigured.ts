// A provider's daemon with another configuration
import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { Member } from '../../src/demo/network.ts';

/** The daemon starts anew with what `change` made of its configuration, as docs/configuration.md has it. */
export async function reconfigured(
  { daemon, configuration }: Member,
  change: (settings: Record<string, Record<string, unknown>>) => void,
): Promise<void> {
  await daemon.stop();
  const settings = parse(await readFile(configuration, 'utf8'));
  change(settings);
  await writeFile(configuration, stringify(settings));
  await daemon.start();
}
