// What a listener is told, and how smtp-server hears it
import type { SMTPServerOptions } from 'smtp-server';
import { Refusal } from '../../points/custody.ts';
import type { PointName } from '../../points/events.ts';
import type { Authenticator } from '../../points/ports.ts';

export interface Certificate {
  /** PEM, leaf first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface ListenerOptions {
  readonly point: PointName;
  readonly protocol: 'smtp' | 'lmtp';
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: 'none' | 'starttls' | 'implicit';
  readonly certificate?: Certificate;
  /** Present: nobody sends mail without logging in, and nobody logs in without TLS. */
  readonly authenticator?: Authenticator;
  /** Whether clients may send 8-bit bytes. SMTPUTF8 is never announced. */
  readonly eightBit: 'announced' | 'hidden';
  /** Of one message, in bytes. */
  readonly maxSize: number;
  readonly limits: { readonly connections: number; readonly recipients: number };
  /** Our host name, for the greeting. */
  readonly name: string;
  /** Milliseconds from our reply to the peer's next command, and without a byte in DATA: 60 s unless given. */
  readonly idleTimeout?: number;
  /** Milliseconds from DATA to our reply: 30 min unless given. */
  readonly dataTimeout?: number;
}

/** Options for smtp-server, but for the handlers. */
export function serverOptions(options: ListenerOptions): SMTPServerOptions {
  const { protocol, tls, certificate, authenticator, limits } = options;
  return {
    name: options.name,
    lmtp: protocol === 'lmtp',
    logger: false,
    heloResponse: '%s',
    secure: tls === 'implicit',
    ...certificate,
    minVersion: 'TLSv1.2',
    disabledCommands: [
      'WIZ',
      'SHELL',
      'KILL',
      ...(tls === 'starttls' ? [] : ['STARTTLS']),
      ...(authenticator === undefined ? ['AUTH'] : []),
    ],
    authOptional: authenticator === undefined,
    authRequiredMessage: new Refusal('notAuthenticated').reply.text,
    hideENHANCEDSTATUSCODES: false,
    hide8BITMIME: options.eightBit === 'hidden',
    hideSMTPUTF8: true,
    size: options.maxSize,
    disableReverseLookup: true,
    socketTimeout: options.idleTimeout ?? 60_000,
    maxClients: limits.connections,
  };
}
