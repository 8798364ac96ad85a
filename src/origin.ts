// Time and fresh names, as the points ask for them. RFC 6109 §2.2.1, §4.1
import { randomBytes } from 'node:crypto';
import { type Domain, instant, type PecMsgid } from './pec/values.ts';
import type { Origin } from './points/ports.ts';

/** Names of 128 random bits in `domain`: nobody can guess one, nor the boundaries that are made of it. */
export function originOf(domain: Domain): Origin {
  const fresh = (prefix: string) => `${prefix}${randomBytes(16).toString('hex')}@${domain}`;
  return {
    now: () => instant(Date.now()),
    pecMsgid: () => fresh('pec') as PecMsgid,
    messageId: () => fresh('r'),
  };
}
