// The other end of an SMTP or LMTP conversation, as text: a client by `dial`, a server that follows a script by `scripted`
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';

const PATIENCE = 5_000;

export interface Peer extends AsyncDisposable {
  /** Writes a line, or bytes as they are. */
  send(line: string | Buffer): void;
  /** The next line, without its end. Rejects at the end of the connection. */
  line(): Promise<string>;
  /** Reads one reply (all its lines) or command; throws unless it matches. */
  expect(pattern: RegExp): Promise<string>;
  /** Resolves when the other side has closed. */
  closed(): Promise<void>;
  /** As a client. */
  startTls(): Promise<void>;
  /** As a server: what comes next is a handshake. */
  acceptTls(certificate: { cert: string; key: string }): void;
  end(): void;
  destroy(): void;
  /** Stops reading, so that the other side cannot write much more. */
  pause(): void;
  /** Reads again and forgets what it reads, up to and with `end`, which is not longer than 8 bytes. Returns how many bytes came. */
  drain(end: RegExp): Promise<number>;
}

export async function dial(port: number, security: 'plain' | 'tls' = 'plain'): Promise<Peer> {
  const socket =
    security === 'tls'
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect(port, '127.0.0.1');
  await once(socket, security === 'tls' ? 'secureConnect' : 'connect');
  return peerOn(socket);
}

export function peerOn(first: Socket): Peer {
  let socket = first;
  let text = '';
  let ended = false;
  let wake = () => {};
  const listen = () => {
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      ended = true;
      wake();
    });
  };
  listen();
  socket.setNoDelay(true);

  const wrap = (secured: (raw: Socket) => Socket) => {
    socket.removeAllListeners('data');
    socket.removeAllListeners('close');
    socket = secured(socket);
    listen();
  };

  /** The first value that `look` finds, now or when more has come. */
  async function awaited<T>(look: () => T | undefined, what: string): Promise<T> {
    const signal = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (ended) throw new Error(`closed while waiting for ${what}; unread: ${JSON.stringify(text)}`);
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        signal.onabort = () => reject(new Error(`no ${what}; unread: ${JSON.stringify(text)}`));
      });
    }
  }
  const line = () =>
    awaited(() => {
      const end = text.indexOf('\r\n');
      if (end < 0) return undefined;
      const found = text.slice(0, end);
      text = text.slice(end + 2);
      return found;
    }, 'line');

  return {
    send: data => void socket.write(typeof data === 'string' ? `${data}\r\n` : data),
    line,
    async expect(pattern) {
      const lines = [await line()];
      while (/^\d{3}-/.test(lines.at(-1) ?? '')) lines.push(await line());
      const reply = lines.join('\n');
      if (!pattern.test(reply)) throw new Error(`expected ${pattern}, got ${JSON.stringify(reply)}`);
      return reply;
    },
    async closed() {
      await awaited(() => (ended ? true : undefined), 'end');
    },
    async startTls() {
      wrap(raw => connectTls({ socket: raw, rejectUnauthorized: false }));
      await once(socket, 'secureConnect');
    },
    acceptTls: certificate =>
      wrap(raw => new TLSSocket(raw, { isServer: true, secureContext: createSecureContext(certificate) })),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    pause: () => void socket.pause(),
    async drain(end) {
      let count = 0;
      socket.resume();
      await awaited(() => {
        const done = end.test(text.slice(-8));
        const forget = done ? text.length : Math.max(text.length - 8, 0);
        count += forget;
        text = text.slice(forget);
        return done ? true : undefined;
      }, 'end of the message');
      return count;
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      if (!ended) await once(socket, 'close');
    },
  };
}

export interface Scripted extends AsyncDisposable {
  readonly port: number;
  /** How many connections came. */
  readonly connections: () => number;
}

/** A server that runs `script` for every connection (numbered from 1), then hangs up. Disposing fails if a script failed. */
export async function scripted(script: (peer: Peer, connection: number) => Promise<void>): Promise<Scripted> {
  let connections = 0;
  const failures: unknown[] = [];
  const running: Promise<void>[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    connections += 1;
    sockets.add(socket);
    running.push(
      script(peerOn(socket), connections)
        .catch(error => void failures.push(error))
        .finally(() => socket.end()),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await Promise.all(running);
      for (const socket of sockets) socket.destroy();
      server.close();
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** A self-signed certificate made for this run. */
export function throwawayCertificate(name: string): { cert: string; key: string } {
  const directory = mkdtempSync(join(tmpdir(), 'pecd-tls-'));
  try {
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync(
      'openssl',
      [...request, '-subj', `/CN=${name}`, '-days', '1', '-keyout', key, '-out', cert],
      {
        stdio: 'ignore',
      },
    );
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
