// The virus scanner: one message at a time streamed to clamd (INSTREAM, clamd(8)). Whatever clamd cannot tell is no verdict
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Scan, Scanner } from '../points/ports.ts';

export type ClamdAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** In milliseconds. */
export interface ClamdPatience {
  /** Within it clamd takes a connection. */
  readonly connect?: number;
  /** For so long it may leave a chunk waiting, or the verdict after the last one. */
  readonly silence?: number;
}

/**
 * A connection for each message. Beyond clamd's StreamMaxLength there is no verdict: `push` or `verdict` rejects.
 * Beyond its other limits (MaxFileSize, MaxScanSize...) it says OK of what it never looked at, unless AlertExceedsMax is set.
 */
export function clamdScanner(address: ClamdAddress, patience: ClamdPatience = {}): Scanner {
  const { connect: toConnect = 5_000, silence = 60_000 } = patience;
  return {
    async scan() {
      const socket = await connected(address, toConnect);
      socket.once('timeout', () => socket.destroy(new Error(`silent for ${silence / 1000} s`)));
      return conversation(socket, silence);
    },
  };
}

function conversation(socket: Socket, silence: number): Scan {
  /** With the zero that ends it. */
  const reply = text(socket).catch(unreachable);
  reply.catch(() => {});
  socket.write('zINSTREAM\0');

  /** Resolves when all of it has left: clamd is never more than one chunk behind. */
  async function send(chunk: Buffer): Promise<void> {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(chunk.length);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.setTimeout(silence);
    socket.cork();
    socket.write(length);
    socket.write(chunk, trouble => (trouble ? reject(trouble) : resolve()));
    socket.uncork();
    try {
      await promise;
    } catch (cause) {
      // It has hung up, and may have said why.
      const why = (await reply.catch(() => '')).slice(0, -1) || plainly(cause);
      throw new Error(`clamd: ${why} (is the message longer than its StreamMaxLength?)`, { cause });
    }
  }

  return {
    async push(chunk) {
      // A length of zero ends the stream.
      if (chunk.length > 0) await send(chunk);
      // How long the client takes for the next chunk is not clamd's affair.
      socket.setTimeout(0);
    },

    async verdict() {
      await send(Buffer.alloc(0));
      const said = await reply;
      if (said === 'stream: OK\0') return undefined;
      // A limit that was exceeded is no virus: it would be certified as one.
      const [, virus] = /^stream: (?!Heuristics\.Limits\.)(.+) FOUND\0$/.exec(said) ?? [];
      if (virus === undefined) throw new Error(`clamd: ${said.slice(0, -1) || 'closed without a word'}`);
      return virus;
    },

    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}

async function connected(address: ClamdAddress, within: number): Promise<Socket> {
  // What goes wrong is told to whoever reads or writes; without a listener it would end the process.
  const socket = connect(address).on('error', () => {});
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(within) });
    return socket;
  } catch (cause) {
    socket.destroy();
    unreachable(cause);
  }
}

function unreachable(cause: unknown): never {
  throw new Error(`clamd: ${plainly(cause)}`, { cause });
}

/** Of two addresses of a host that both refuse, Node makes an error without a message. */
function plainly(cause: unknown): string {
  const { message, code } = cause as NodeJS.ErrnoException;
  return message || code || String(cause);
}
