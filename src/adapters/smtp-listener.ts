// A socket that speaks SMTP or LMTP for one point: session, AUTH, TLS, DATA as bytes, replies as lines. RFC 5321, RFC 2033
import { createSecureContext } from 'node:tls';
import { domainToASCII } from 'node:url';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { type Mailbox, mailboxKey, parseMailbox } from '../pec/values.ts';
import { Refusal, type Reply, replyTo } from '../points/custody.ts';
import type { Events } from '../points/events.ts';
import type { Door, Session } from '../points/ports.ts';
import { Connection } from './smtp-listener/connection.ts';
import { type Certificate, type ListenerOptions, serverOptions } from './smtp-listener/options.ts';

export type { Certificate, ListenerOptions };

/** Disposing cuts every connection at once. */
export interface Listener extends AsyncDisposable {
  readonly port: number;
  /** No new connections or transactions; those in DATA finish. Resolves when all are gone. */
  drain(): Promise<void>;
  /** For connections from now on. Throws if the two do not belong together; then the old ones stay in use. */
  updateCertificate(certificate: Certificate): void;
}

/** Starts to listen. Rejects with one line for the administrator if that cannot be. */
export async function listen(door: Door, options: ListenerOptions, events: Events): Promise<Listener> {
  const { point, protocol, address, tls, certificate, authenticator, limits, maxSize } = options;
  const place = `${address}:${options.port}`;
  if (tls !== 'none' && certificate === undefined) throw new Error(`${place}: TLS needs a certificate`);
  if (tls === 'none' && authenticator !== undefined) throw new Error(`${place}: logging in needs TLS`);

  const connections = new Map<SMTPServerSession, Connection>();
  const closing: Reply = new Refusal('shuttingDown').reply;
  let draining = false;

  const server = new SMTPServer({
    ...serverOptions(options),
    // at once: smtp-server's own handlers wait for a turn, in which who speaks is dismissed for talking too soon
    onConnect: (_session, callback) => callback(),
    onSecure: (_socket, _session, callback) => callback(),
    onAuth({ username = '', password }, session, callback) {
      const loggedIn = (error?: Error) => (error ? callback(error) : callback(null, { user: username }));
      answer(session, loggedIn, async ({ id }) => {
        if (await authenticator?.check(username, password ?? '')) return;
        events.authFailed(point, id, username);
        throw new Refusal('badCredentials');
      });
    },
    onMailFrom({ address }, session, callback) {
      answer(session, callback, async connection => {
        if (draining) throw new Refusal('shuttingDown');
        const from = address === '' ? null : mailboxOf(address);
        await door.mail(from, viewOf(connection));
        connection.from = from;
        connection.to.clear();
      });
    },
    onRcptTo({ address }, session, callback) {
      answer(session, callback, async connection => {
        const { to, from } = connection;
        const mailbox = mailboxOf(address);
        const key = mailboxKey(mailbox);
        if (to.has(key)) {
          // over LMTP it would need a reply of its own after the dot, which smtp-server does not give
          if (protocol === 'lmtp') throw new Refusal('twiceTheSame', mailbox);
          return;
        }
        if (to.size >= limits.recipients) throw new Refusal('tooManyRecipients', `${limits.recipients}`);
        await door.recipient(mailbox, from, viewOf(connection));
        to.set(key, mailbox);
      });
    },
    onData(stream, session, callback) {
      const connection = connectionOf(session);
      void message(connection, stream).then(replies => {
        // always one result for each reply: given an error, smtp-server counts the recipients itself
        callback(
          null,
          replies.map(reply => (reply.code === 250 ? reply.text : asError(reply))),
        );
        if (draining) connection.cut(closing);
      });
    },
    onClose(session) {
      connections.delete(session);
      events.connectionClosed(point, session.id);
    },
  });
  server.connect = (socket, socketOptions) => {
    const connection = new Connection(server, socket, socketOptions);
    connections.set(connection.session, connection);
    server.connections.add(connection);
    // the peer's broken socket or TLS handshake: its closing is told
    connection.on('error', () => {});
    events.connectionOpened(point, connection.id);
    connection.init();
  };

  function connectionOf(session: SMTPServerSession): Connection {
    const connection = connections.get(session);
    if (connection === undefined) throw new Error('a session without connection');
    return connection;
  }

  function viewOf({ id, gone, session }: Connection): Session {
    const login: unknown = session.user;
    return { id, gone: gone.signal, ...(typeof login === 'string' && { login }) };
  }

  function refusalOf(connection: Connection, error: unknown): Reply {
    const foreseen = error instanceof Refusal || connection.gone.signal.aborted;
    if (!foreseen) events.trouble(`${point} listener`, error, connection.id);
    return replyTo(error);
  }

  function answer(
    session: SMTPServerSession,
    callback: (error?: Error) => void,
    work: (connection: Connection) => Promise<void>,
  ): void {
    const connection = connectionOf(session);
    work(connection).then(
      () => {
        callback();
        if (draining) connection.cut(closing);
      },
      error => {
        const reply = refusalOf(connection, error);
        events.refused(point, viewOf(connection), reply);
        callback(asError(reply));
        if (draining) connection.cut(closing);
      },
    );
  }

  /** The replies to one message, once the final dot is in: a refusal that precedes it desynchronises the client. */
  async function message(connection: Connection, stream: SMTPServerDataStream): Promise<readonly Reply[]> {
    const began = performance.now();
    const view = viewOf(connection);
    const envelope = { from: connection.from, to: [...connection.to.values()] };
    const toAll = (reply: Reply) => (protocol === 'lmtp' ? envelope.to.map(() => reply) : [reply]);
    const tooSlow = { code: 421, text: '4.4.2 The message took too long' };
    const timer = setTimeout(() => connection.cut(tooSlow), options.dataTimeout ?? 30 * 60_000);
    stream.on('error', () => {});
    let replies: readonly Reply[];
    try {
      replies = await door.message(envelope, received(stream, maxSize), view);
      const due = toAll(closing).length;
      if (replies.length !== due) throw new Error(`${replies.length} replies instead of ${due}`);
    } catch (error) {
      replies = toAll(refusalOf(connection, error));
    }
    const tooBig = new Refusal('messageTooBig', `${maxSize}`).reply;
    try {
      for await (const _ of stream.iterator({ destroyOnReturn: false })) {
        if (stream.byteLength > 2 * maxSize) connection.cut(tooBig);
      }
    } catch {
      // cut, or the peer went away: nobody hears the replies
    }
    clearTimeout(timer);
    if (stream.sizeExceeded) replies = toAll(tooBig);
    for (const reply of replies) if (reply.code >= 400) events.refused(point, view, reply);
    const taken = replies.filter(({ code }) => code < 400);
    const [first] = taken;
    if (first !== undefined) {
      const recipients = protocol === 'lmtp' ? taken.length : envelope.to.length;
      const ms = Math.round(performance.now() - began);
      events.accepted(point, view, { text: first.text, recipients, size: stream.byteLength, ms });
    }
    return replies;
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(cannotListen(place, error)));
    server.listen(options.port, address, resolve);
  });
  // a handshake that fails, a peer that resets: nothing to do about it
  server.on('error', () => {});
  const bound = server.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  events.listening(point, address, port);

  let closed: Promise<void> | undefined;
  /** Resolves when every socket is closed. */
  function stopListening(): Promise<void> {
    draining = true;
    closed ??= new Promise(resolve => server.server.close(() => resolve()));
    for (const socket of server._pendingSockets.values()) socket.destroy();
    return closed;
  }

  return {
    port,
    drain() {
      const gone = stopListening();
      for (const connection of connections.values()) if (!connection.busy) connection.cut(closing);
      return gone;
    },
    updateCertificate(certificate) {
      // smtp-server forgets its old certificate before it looks at the new one
      createSecureContext({ ...certificate });
      server.updateSecureContext({ ...certificate });
    },
    async [Symbol.asyncDispose]() {
      const gone = stopListening();
      for (const connection of connections.values()) connection.drop();
      await gone;
    },
  };
}

/** The DATA, without dot-stuffing and final dot. It may be left early: the rest stays to be read. */
async function* received(stream: SMTPServerDataStream, maxSize: number): AsyncGenerator<Buffer> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    if (stream.sizeExceeded) throw new Refusal('messageTooBig', `${maxSize}`);
    yield chunk;
  }
}

/** smtp-server hands out A-labels as Unicode: they are put back. */
function mailboxOf(address: string): Mailbox {
  const at = address.lastIndexOf('@') + 1;
  const domain = address.slice(at);
  // only where needed: domainToASCII reads 1.2.3 as an IPv4 address
  const labels = /^[\x00-\x7f]*$/.test(domain) ? domain : domainToASCII(domain);
  const mailbox = parseMailbox(address.slice(0, at) + labels);
  if (mailbox === undefined) throw new Refusal('badAddress', address);
  return mailbox;
}

/** A reply as smtp-server takes it; without a code it would answer 550. */
function asError({ code, text }: Reply): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

function cannotListen(place: string, error: NodeJS.ErrnoException): Error {
  const advice: Record<string, string> = {
    EADDRINUSE: 'the port is in use: stop the program that has it, or configure another port',
    EACCES: 'not permitted: ports below 1024 need CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'this machine does not have the address',
  };
  const why = advice[error.code ?? ''] ?? error.message;
  return Object.assign(new Error(`Cannot listen on ${place}: ${why}`, { cause: error }), {
    code: error.code,
  });
}
