// How values are written in the configuration file: durations, sizes, addresses. Each parser answers undefined for anything else
import { isIP, isIPv6 } from 'node:net';

/** An MTA that takes our mail: SMTP, or SMTP inside TLS. */
export interface RelayAddress {
  readonly protocol: 'smtp' | 'smtps';
  readonly host: string;
  readonly port: number;
}

/** The mail store, over TCP or a Unix socket. */
export type MailStoreAddress =
  | { readonly protocol: 'lmtp'; readonly host: string; readonly port: number }
  | { readonly protocol: 'lmtp'; readonly path: string };

/** A server reached over TCP or a Unix socket. */
export type SocketAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** An IP network, in the words of net.BlockList.addSubnet. */
export interface Network {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;
const durationUnits: Readonly<Record<string, number>> = {
  s: SECOND,
  m: 60 * SECOND,
  h: 60 * 60 * SECOND,
  d: DAY,
  month: 30.5 * DAY,
  months: 30.5 * DAY,
};

/** `3s`, `30m`, `12h`, `7d`, `30 months` (of 30.5 days) in milliseconds. */
export function parseDuration(text: string): number | undefined {
  return quantity(text, durationUnits);
}

const sizeUnits: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** `256KB`, `30MB`, `1GB` in bytes; each unit is 1024 of the one before, as in Dovecot. */
export function parseSize(text: string): number | undefined {
  return quantity(text, sizeUnits);
}

function quantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, count, unit] = /^(\d{1,9}) ?([A-Za-z]+)$/.exec(text) ?? [];
  if (count === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  return Number(count) * (units[unit] ?? Number.NaN);
}

/** `smtp://HOST[:25]` or `smtps://HOST[:465]`. */
export function parseRelay(text: string): RelayAddress | undefined {
  const [, scheme, rest = ''] = /^(smtps?):\/\/([^/]+)\/?$/.exec(text) ?? [];
  if (scheme !== 'smtp' && scheme !== 'smtps') return undefined;
  const place = hostAndPort(rest, scheme === 'smtp' ? 25 : 465);
  return place && { protocol: scheme, ...place };
}

/** `lmtp://HOST[:24]` or `lmtp:unix:/PATH`. */
export function parseMailStore(text: string): MailStoreAddress | undefined {
  const path = /^lmtp:unix:(\/.+)$/.exec(text)?.[1];
  if (path !== undefined) return { protocol: 'lmtp', path };
  const place = hostAndPort(/^lmtp:\/\/([^/]+)\/?$/.exec(text)?.[1] ?? '', 24);
  return place && { protocol: 'lmtp', ...place };
}

/** `tcp://HOST[:PORT]` or `unix:/PATH`. */
export function parseSocket(text: string, usualPort: number): SocketAddress | undefined {
  const path = /^unix:(\/.+)$/.exec(text)?.[1];
  return path === undefined ? hostAndPort(/^tcp:\/\/([^/]+)\/?$/.exec(text)?.[1] ?? '', usualPort) : { path };
}

/** `redis://HOST[:PORT][/DB]`, `rediss://...` or `unix:///PATH`, unchanged. */
export function parseRedis(text: string): string | undefined {
  if (/^unix:\/\/\/./.test(text)) return text;
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const { hostname, pathname } = new URL(text);
  return hostname !== '' && /^(?:\/\d*)?$/.test(pathname) ? text : undefined;
}

/** `http://` or `https://`, normalised. */
export function parseWebUrl(text: string): string | undefined {
  return /^https?:\/\//.test(text) && URL.canParse(text) ? new URL(text).href : undefined;
}

/** An IP address or a host name to listen on. */
export function parseHost(text: string): string | undefined {
  return isIP(text) !== 0 || HOST_NAME.test(text) ? text : undefined;
}

/** `127.0.0.0/8`, `fd00::/8`, or a single address. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  if (version === 0 || prefix > bits) return undefined;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

const HOST_NAME = /^(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/;

function hostAndPort(text: string, usualPort: number): { host: string; port: number } | undefined {
  const [, bracketed, bare, digits] = /^(?:\[([^\]]+)\]|([^:@]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? usualPort : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  const host = parseHost(bare ?? '');
  return host === undefined ? undefined : { host, port };
}
