// The MTA (SMTP) and the mail store (LMTP) as keepers: hands over one message, one answer per recipient. RFC 5321, RFC 2033
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import SMTPConnection, { type SMTPConnectionEnvelope, type SMTPError } from 'smtp-connection';
import { type Mailbox, mailboxKey, type SmtpEnvelope } from '../pec/values.ts';
import { type KeeperAnswer, NothingSent } from '../points/custody.ts';
import type { Keeper } from '../points/ports.ts';
import { answersOf, parseReply } from './smtp-client/answers.ts';

/** `smtps` is TLS from the first byte; `path` is a Unix socket. */
export type KeeperAddress =
  | { readonly protocol: 'smtp' | 'smtps' | 'lmtp'; readonly host: string; readonly port: number }
  | { readonly protocol: 'lmtp'; readonly path: string };

export interface KeeperOptions {
  /** Our name in EHLO and LHLO. */
  readonly name: string;
  /** Milliseconds. */
  readonly timeouts?: {
    /** From the look-up of the host to the reply to EHLO: 10 s unless given. */
    readonly connect?: number;
    /** Without a byte in either direction, be it the keeper or `message` that is slow: 5 min unless given. */
    readonly silence?: number;
    /** How long a connection is kept for the next message: 5 s unless given. */
    readonly idle?: number;
  };
}

/** More idle connections than this are closed, not kept. */
const MOST_IDLE = 20;
/** How long a keeper may take to answer QUIT, in ms. */
const FAREWELL = 1_000;

interface Line {
  readonly smtp: SMTPConnection;
  /** Resolves after EHLO. */
  readonly ready: Promise<void>;
  /** Calls back when the connection ends, with the reason, until `stop` is called: nodemailer leaves some callbacks uncalled. */
  onEnd(callback: (reason: Error) => void): { stop(): void };
}

/** How far the message has got. */
interface Progress {
  begun: boolean;
  /** All of it was taken from us: the final dot follows. */
  finished: boolean;
  failure?: { readonly error: unknown };
  /** The refusal of a recipient that is the answer to all. */
  stopped?: string;
}

/**
 * The keeper at `address`. Connections are made when needed and reused; disposing closes the idle ones.
 * TLS: none on this machine; elsewhere STARTTLS if offered, whatever the certificate; `smtps:` checks the certificate.
 */
export function keeperAt(address: KeeperAddress, options: KeeperOptions): Keeper & AsyncDisposable {
  const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
  const idle = new Map<Line, NodeJS.Timeout>();
  let disposed = false;

  function keep(line: Line): void {
    if (disposed || idle.size >= MOST_IDLE) {
      hangUp(line);
      return;
    }
    const timer = setTimeout(() => {
      if (take(line)) hangUp(line);
    }, options.timeouts?.idle ?? 5_000);
    idle.set(line, timer);
  }

  function take(line: Line | undefined): Line | undefined {
    if (line === undefined || !idle.has(line)) return undefined;
    clearTimeout(idle.get(line));
    idle.delete(line);
    return line;
  }

  return {
    async deliver(envelope, message, { signal, indispensable = [] } = {}) {
      signal?.throwIfAborted();
      const progress: Progress = { begun: false, finished: false };
      const over = async (line: Line) => {
        const cut = () => line.smtp.close();
        // once the dot is out the keeper may have the message: its answer is wanted, whoever went away
        const abandon = () => progress.finished || cut();
        signal?.addEventListener('abort', abandon);
        try {
          await line.ready;
          const answers = await transact(line, envelope, message, progress, indispensable);
          if (!line.smtp.destroyed) keep(line);
          return answers;
        } catch (error) {
          cut();
          if (progress.failure !== undefined) throw progress.failure.error;
          if (progress.finished) throw located(where, error);
          throw signal?.aborted
            ? signal.reason
            : new NothingSent(located(where, error).message, { cause: error });
        } finally {
          signal?.removeEventListener('abort', abandon);
        }
      };
      const used = take([...idle.keys()].at(-1));
      if (used !== undefined) {
        try {
          return await over(used);
        } catch (error) {
          // The keeper had closed it. Nothing of the message was sent, so it may be tried again.
          if (progress.begun || signal?.aborted) throw error;
        }
      }
      const fresh = dial(address, options);
      fresh.onEnd(() => take(fresh));
      return over(fresh);
    },

    async [Symbol.asyncDispose]() {
      disposed = true;
      const lines = [...idle.keys()];
      await Promise.all(
        lines.map(line => {
          take(line);
          const ended = new Promise<unknown>(line.onEnd);
          hangUp(line);
          return ended;
        }),
      );
    },
  };
}

function dial(address: KeeperAddress, { name, timeouts }: KeeperOptions): Line {
  const remote = 'host' in address && !/^(127(\.\d+){3}|::1|localhost)$/.test(address.host);
  const connectionTimeout = timeouts?.connect ?? 10_000;
  const smtp = new SMTPConnection({
    ...('path' in address
      ? { connection: connect(address.path) }
      : { host: address.host, port: address.port }),
    name,
    lmtp: address.protocol === 'lmtp',
    secure: address.protocol === 'smtps',
    ignoreTLS: !remote,
    opportunisticTLS: true,
    tls: { rejectUnauthorized: remote && address.protocol === 'smtps', minVersion: 'TLSv1.2' },
    allowInternalNetworkInterfaces: true,
    connectionTimeout,
    greetingTimeout: connectionTimeout,
    dnsTimeout: connectionTimeout,
    socketTimeout: timeouts?.silence ?? 300_000,
    // a connection that is closed in mid-message is destroyed, not ended politely
    socketCloseTimeout: 0,
  });
  let reason: Error = new Error('connection closed');
  smtp.on('error', error => {
    reason = error;
  });
  const onEnd: Line['onEnd'] = callback => {
    // after the callbacks that nodemailer does call: they know more
    const later = () => setImmediate(() => callback(reason));
    smtp.once('end', later);
    return { stop: () => smtp.off('end', later) };
  };
  const ready = new Promise<void>((resolve, reject) => {
    onEnd(reject);
    smtp.connect(error => (error ? reject(error) : resolve()));
  });
  ready.catch(() => {});
  return { smtp, ready, onEnd };
}

function hangUp({ smtp, onEnd }: Line): void {
  const timer = setTimeout(() => smtp.close(), FAREWELL);
  onEnd(() => clearTimeout(timer));
  smtp.quit();
}

/** One transaction. After anything but a 2xx the connection is closed: nodemailer neither resets nor ends a transaction. */
async function transact(
  { smtp, onEnd }: Line,
  envelope: SmtpEnvelope,
  message: AsyncIterable<Buffer>,
  progress: Progress,
  indispensable: readonly Mailbox[],
): Promise<readonly KeeperAnswer[]> {
  // a recipient given twice is sent once: an LMTP server answers it once, and nodemailer would miscount
  const to = [...new Map(envelope.to.map(one => [mailboxKey(one), one])).values()];
  // nodemailer keeps its notes in the object it is given; `rejectedErrors` is the truth about single recipients
  const notes: Partial<SMTPConnectionEnvelope> = { from: envelope.from ?? '', to, use8BitMime: true };
  const needed = new Set(indispensable.map(mailboxKey));
  const stops = ({ responseCode = 0, recipient = '' }: SMTPError) =>
    responseCode < 500 || needed.has(mailboxKey(recipient as Mailbox));
  const refusal = () => (smtp.options.lmtp ? undefined : notes.rejectedErrors?.find(stops));
  const stream = Readable.from(watched(message, progress, smtp, refusal));
  stream.on('error', () => {});
  try {
    const response = await new Promise<string>((resolve, reject) => {
      const watch = onEnd(reject);
      smtp.send(notes, stream, (error, info) => {
        watch.stop();
        if (error) reject(error);
        else resolve(info.response);
      });
    });
    if (!progress.finished) throw new Error(`answer before the end of the message: ${response}`);
    // over LMTP only the last reply is kept: it may be a refusal, or speak of another recipient
    const own = !smtp.options.lmtp || (notes.accepted?.length === 1 && response.startsWith('2'));
    const accepted = own ? parseReply(response) : { code: 250, text: '' };
    return answersOf(envelope, notes.rejectedErrors ?? [], accepted);
  } catch (error) {
    smtp.close();
    stream.destroy();
    const refusals = notes.rejectedErrors ?? [];
    if (progress.stopped !== undefined) return answersOf(envelope, refusals, parseReply(progress.stopped));
    const { code, command, response, responseCode } = error as SMTPError;
    const isAnswer = response !== undefined && (code === 'EENVELOPE' || code === 'EMESSAGE');
    // 421 before the message says that the connection is over, not what becomes of the message
    if (progress.failure || !isAnswer || (responseCode === 421 && !progress.begun)) throw error;
    return answersOf(envelope, command === 'MAIL FROM' ? [] : refusals, parseReply(response));
  }
}

async function* watched(
  message: AsyncIterable<Buffer>,
  progress: Progress,
  smtp: SMTPConnection,
  refusal: () => SMTPError | undefined,
): AsyncGenerator<Buffer> {
  // nodemailer takes a 2xx to DATA for a 354; what follows would be read as commands
  const reply = smtp.lastServerResponse;
  if (reply === false || !reply.startsWith('354')) throw new Error(`unexpected reply to DATA: ${reply}`);
  // one reply to the dot cannot tell our client that some have the message, and others not
  const stop = refusal();
  if (stop !== undefined) {
    progress.stopped = stop.response ?? '';
    throw new Error('a recipient was refused');
  }
  progress.begun = true;
  try {
    yield* message;
  } catch (error) {
    progress.failure = { error };
    // nodemailer writes into the error that it gets: the message's own stays as it is
    throw new Error('the message broke off');
  }
  progress.finished = true;
}

/** The same error, saying where; its code tells the log that no stack is needed. */
function located(where: string, error: unknown): Error {
  const { message, code } = error as SMTPError;
  return Object.assign(new Error(`${where}: ${message}`, { cause: error }), { code: code ?? 'EKEEPER' });
}
