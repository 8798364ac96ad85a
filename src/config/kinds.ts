// The kinds of values that a key can have, each with its notation, and what is said of a key
import * as z from 'zod';
import { parseDomain, parseMailbox } from '../pec/values.ts';
import {
  parseDuration,
  parseHost,
  parseMailStore,
  parseNetwork,
  parseRedis,
  parseRelay,
  parseSize,
  parseSocket,
  parseWebUrl,
} from './notations.ts';

/** When a changed value is in force: at SIGHUP, or at the next start. */
export type TakesEffect = 'on reload' | 'after a restart';

declare module 'zod' {
  interface GlobalMeta {
    'x-takes-effect'?: TakesEffect;
  }
}

/** The notation of values that name a file or directory: `cred:NAME` stands for the credential's path, not for its content. */
export const PATH = 'path';

/** Text in a notation of its own. `title` names it in the reference; `hint` says how to write it (values are never echoed: they may be secrets). */
function written<T>(title: string, hint: string, parse: (text: string) => T | undefined) {
  const error = (issue: { input: unknown }) => (issue.input == null ? undefined : hint);
  return z
    .string({ error })
    .meta({ title })
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue(hint);
      return z.NEVER;
    });
}

export const text = z.string().min(1);
export const path = written(
  PATH,
  'not a path: write the name of a file or directory',
  name => name || undefined,
);
export const duration = written(
  'duration',
  'not a duration: write 3s, 30m, 12h, 7d or 30 months',
  parseDuration,
);
export const size = written('size', 'not a size: write 256KB, 30MB or 1GB', parseSize);
export const mailbox = written('mailbox', 'not a mailbox: write local-part@domain', parseMailbox);
export const domain = written('domain', 'not a domain: write a DNS name of at least two labels', parseDomain);
export const relay = written('relay', 'not a relay: write smtp://HOST:PORT or smtps://HOST:PORT', parseRelay);
export const host = written('address', 'not an address: write an IP address or a host name', parseHost);
export const network = written('network', 'not a network: write 127.0.0.0/8 or ::1', parseNetwork);
export const webUrl = written('URL', 'not a URL: write https://...', parseWebUrl);
export const mailStore = written(
  'mail store',
  'not a mail store: write lmtp://HOST:PORT or lmtp:unix:/PATH',
  parseMailStore,
);
export const redisUrl = written(
  'Redis URL',
  'not a Redis URL: write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH',
  parseRedis,
);
export const clamd = written('socket', 'not a socket: write tcp://HOST:PORT or unix:/PATH', address =>
  parseSocket(address, 3310),
);
export const port = z.int().min(0).max(65_535);

export const reload = (description: string, ...examples: unknown[]) =>
  facts('on reload', description, examples);
export const restart = (description: string, ...examples: unknown[]) =>
  facts('after a restart', description, examples);
function facts(takesEffect: TakesEffect, description: string, examples: unknown[]) {
  return { description, 'x-takes-effect': takesEffect, ...(examples.length > 0 && { examples }) };
}

export function section<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  return z.strictObject(shape).describe(description);
}
