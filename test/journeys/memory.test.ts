// A message of 100 MB passes access point, incoming point, delivery point and worker; the daemons' memory does not grow with it.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import type { Server } from '../../src/demo/processes.ts';
import { until } from '../../src/demo/processes.ts';
import { message, submit } from './submission.ts';

const MB = 1_000_000;
const SIZE = 100 * MB;
const PATIENCE = 240_000;
let network: Network;
let arrived: ReturnType<typeof newMail>;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-memory'));
  network = stack.use(await startNetwork(folder.path));
  arrived = newMail(network.mailboxes);
});

/** A line of /proc/PID/status, in bytes. */
async function memory({ pid }: Server, line: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(new RegExp(`^${line}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
}

/** Until acceptance, take-charge, envelope and delivery receipt of one message are in their mailboxes. */
async function delivered(): Promise<void> {
  let count = 0;
  await until('all four messages', PATIENCE, async () => {
    network.assertAlive();
    count += (await arrived()).length;
    return count >= 4;
  });
}

function big(): Readable {
  const line = Buffer.from(`${'0123456789'.repeat(7)}\r\n`);
  const block = Buffer.concat(Array.from({ length: 1000 }, () => line));
  return Readable.from(
    (function* () {
      yield Buffer.from(message);
      for (let size = message.length; size + block.length <= SIZE; size += block.length) yield block;
    })(),
  );
}

test('100 MB: resident memory grows by less than 64 MB at both providers', async () => {
  await submit(network, message);
  await delivered();
  const daemons = [network.alfa.daemon, network.beta.daemon];
  const before = await Promise.all(daemons.map(daemon => memory(daemon, 'VmRSS')));
  // The peak counts from here (proc_pid_clear_refs(5)).
  for (const { pid } of daemons) await writeFile(`/proc/${pid}/clear_refs`, '5');
  await submit(network, big());
  await delivered();
  for (const [index, daemon] of daemons.entries()) {
    const growth = (await memory(daemon, 'VmHWM')) - (before[index] ?? 0);
    assert.ok(growth < 64 * 1024 * 1024, `${daemon.program.name} grew by ${Math.round(growth / MB)} MB`);
  }
});
