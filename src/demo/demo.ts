// `pecd demo`: two providers on loopback, one story, every message of it checked; then nothing is left
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { temporaryFolder } from './folders.ts';
import { play } from './journey.ts';
import type { Arrival } from './mailboxes.ts';
import { type Network, startNetwork } from './network.ts';
import { lastLines, type Server } from './processes.ts';
import { type Entry, paletteFor, rendered } from './timeline.ts';

export interface DemoOptions {
  /** One JSON document instead of the timeline. */
  readonly json: boolean;
  /** Where a copy of every delivered mail file is kept, and the root certificate. */
  readonly out?: string;
  /** Stay up until a signal comes. */
  readonly keep: boolean;
}

/** Needs root. Resolves to the exit code: 0, 1 if something did not hold, 130 if a signal broke it off. */
export async function demo(options: DemoOptions): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    // The second one ends at once; what still runs is killed on exit.
    if (interrupt.signal.aborted) process.exit(128 + constants.signals[signal]);
    interrupt.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    await perform(options, interrupt.signal);
    return 0;
  } catch (trouble) {
    const troubles = unfolded(trouble).filter(one => one !== interrupt.signal.reason);
    if (troubles.length === 0) return 130;
    process.stderr.write(
      `The demo failed.\n${troubles.map(one => `${(one as Error).message}\n`).join('\n')}`,
    );
    return 1;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** What went wrong first, and what went wrong while all was taken down. */
function unfolded(trouble: unknown): readonly unknown[] {
  return trouble instanceof SuppressedError
    ? [...unfolded(trouble.suppressed), ...unfolded(trouble.error)]
    : [trouble];
}

async function perform({ json, out, keep }: DemoOptions, interrupted: AbortSignal): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('Postfix and Dovecot want root: `npm run demo` sees to it');
  const began = Date.now();
  const palette = paletteFor(process.stdout);
  const tell = (entry: Entry, at = new Date()) => {
    if (!json) process.stdout.write(rendered(entry, at.getTime() - began, palette));
  };
  const copies = out === undefined && !json ? undefined : await copiesIn(out);

  await using folder = await temporaryFolder('pecd-demo');
  await using network = await startNetwork(folder.path);
  interrupted.throwIfAborted();
  tell({ type: 'scene', text: 'Two providers are up, Alfa PEC and Beta PEC: pecd, Postfix, Dovecot each' });
  const keepCopy = copies?.keep ?? (async ({ file }: Arrival) => file);
  try {
    await play({ network, tell, keep: keepCopy, interrupted });
  } catch (trouble) {
    interrupted.throwIfAborted();
    const logs = [network.alfa, network.beta]
      .flatMap(({ daemon, postfix }) => [daemon, postfix])
      .map(endOfLog);
    throw new Error([(trouble as Error).message, ...(await Promise.all(logs))].join('\n\n'), {
      cause: trouble,
    });
  }
  const details = copies && [`copies are in ${copies.directory}`];
  tell({ type: 'scene', text: 'All of it came, and all of it holds', ...(details && { details }) });
  if (copies !== undefined) {
    const { directory, messages } = copies;
    const anchors = join(directory, 'root.pem');
    await copyFile(network.anchors, anchors);
    if (json) process.stdout.write(`${JSON.stringify({ directory, anchors, messages }, null, 2)}\n`);
  }
  if (!keep) return;
  (json ? process.stderr : process.stdout).write(howToConnect(network));
  if (!interrupted.aborted) await once(interrupted, 'abort');
}

/** Keeps copies of what came in the wanted folder, or in a temporary one that stays; readable for whoever ran sudo. */
async function copiesIn(wanted: string | undefined) {
  const directory = wanted === undefined ? await mkdtemp(join(tmpdir(), 'pecd-demo-mail-')) : resolve(wanted);
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const messages: Arrival[] = [];
  const keep = async (arrival: Arrival): Promise<string> => {
    const number = String(messages.length + 1).padStart(2, '0');
    const file = join(directory, `${number}-${arrival.kind}-${arrival.mailbox}.eml`);
    await copyFile(arrival.file, file);
    await chmod(file, 0o644);
    messages.push({ ...arrival, file });
    return file;
  };
  return { directory, messages, keep };
}

async function endOfLog({ program: { name, log } }: Server): Promise<string> {
  return `The last lines of ${name}:\n${await lastLines(log)}`;
}

function howToConnect({ alfa, beta, anchors, mailboxes }: Network): string {
  const accounts = [alfa, beta].flatMap(({ plan: { accounts, ports } }) =>
    accounts.map(
      ({ address, password }) =>
        `  ${address.padEnd(26)} password ${password}  IMAP ${ports.imap}  SMTP ${ports.submission}\n`,
    ),
  );
  return `
Both providers stay up until Ctrl-C. A mail client reaches them on 127.0.0.1: SMTP with STARTTLS, IMAP without TLS.
${accounts.join('')}The root to trust: ${anchors}
Mail for mario@ordinary.example: ${mailboxes.get('mario@ordinary.example')}
To run pecd on them: -c ${alfa.configuration}
                 or: -c ${beta.configuration}
`;
}
