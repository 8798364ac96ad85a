// A mail server outside PEC that takes all mail for its domain: ordinary recipients live here
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SMTPServer } from 'smtp-server';

export interface SinkPlan {
  /** Made if missing. */
  readonly folder: string;
  readonly port: number;
  readonly domain: string;
}

/** Takes mail until it is disposed; each message becomes a file in `new` of its recipient's maildir. */
export async function startSink({ folder, port, domain }: SinkPlan): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true });
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    onRcptTo: ({ address }, _session, done) => {
      const ours = address.toLowerCase().endsWith(`@${domain}`);
      done(ours ? null : Object.assign(new Error('Not a mailbox of mine'), { responseCode: 550 }));
    },
    onData: (message, { envelope }, done) => {
      const recipients = envelope.rcptTo.map(({ address }) => address);
      store(folder, recipients, message).then(() => done(), done);
    },
  });
  // A client that breaks off is its own trouble; a port that is taken rejects below.
  server.on('error', () => {});
  const listening = once(server.server, 'listening');
  server.listen(port, '127.0.0.1');
  await listening;
  return { [Symbol.asyncDispose]: () => new Promise<void>(closed => server.close(closed)) };
}

async function store(
  folder: string,
  recipients: readonly string[],
  message: NodeJS.ReadableStream,
): Promise<void> {
  const name = randomUUID();
  const received = join(folder, name);
  await pipeline(message, createWriteStream(received));
  for (const recipient of recipients) {
    const fresh = join(sinkMaildirOf(folder, recipient), 'new');
    await mkdir(fresh, { recursive: true });
    await link(received, join(fresh, name));
  }
  await rm(received);
}

/** The maildir of a recipient; it is there from the first message on. */
export function sinkMaildirOf(folder: string, address: string): string {
  return join(folder, address);
}
