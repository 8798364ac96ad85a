// A bounce for a transport envelope of ours becomes the non-delivery notice of our user. RFC 6109 §2.2.2, §3.3.3
import type { Issuer } from '../pec/compose.ts';
import { deliveryError } from '../pec/delivery.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import { domainOf, mailboxKey, parsePecMsgid, type SmtpEnvelope, sameMailbox } from '../pec/values.ts';
import { bounced, type Journaled, owe } from './custody.ts';
import { type Keepers, type Operation, settle } from './hand-over.ts';
import type { Origin, Trust } from './ports.ts';
import type { Reception } from './reception.ts';

export interface Correlated {
  readonly line: Journaled;
  /** Whether the notices say all that the bounce says; else the user wants to see the bounce as well. */
  readonly complete: boolean;
}

/** A message that may be a bounce. */
export interface Suspect {
  readonly envelope: SmtpEnvelope;
  readonly reception: Reception;
  readonly operation: Operation;
}

/**
 * The debts of a bounce, journaled and booked; undefined if it is about no message of ours, or about nobody for whom it can be true.
 * Recipients outside PEC get no notice (pec.md section 5).
 */
export async function correlate(
  world: Keepers & { readonly origin: Origin; readonly trust: Trust },
  issuer: Issuer,
  { envelope, reception: { bounce }, operation }: Suspect,
  came: 'from our MTA' | 'from outside',
): Promise<Correlated | undefined> {
  const pecMsgid = parsePecMsgid(bounce?.messageId ?? '');
  const tracked = pecMsgid && (await world.waits.of(pecMsgid));
  const [to, another] = envelope.to;
  if (bounce === undefined || tracked === undefined || to === undefined || another !== undefined)
    return undefined;
  const { about } = tracked;
  if (!sameMailbox(to, about.sender)) return undefined;
  if (came === 'from outside' && !isSecretOfOneProvider(about, world.trust)) return undefined;
  const { at } = operation;
  const failed = bounce.recipients.filter(({ action }) => action.toLowerCase() === 'failed');
  const failure = bounced(
    tracked,
    failed.map(({ recipient }) => recipient),
  );
  if (failure.recipients.length === 0) return undefined;
  const debts = failure.recipients.map(recipient => {
    const status = failed.find(one => mailboxKey(one.recipient) === mailboxKey(recipient))?.status;
    const error = deliveryError(status, issuer.name);
    const messageId = world.origin.messageId();
    return owe({ kind: 'errore-consegna', messageId, at, to, about, recipient, error }, failure);
  });
  const { pecMsgid: id, msgid, subject } = about;
  const line = await settle(world, {
    ...operation,
    event: 'bounced',
    pecMsgid: id,
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject }),
    debts,
  });
  return { line, complete: failure.recipients.length === failed.length };
}

/** Whoever has an envelope knows its identifier, and could forge a bounce for the others. */
function isSecretOfOneProvider({ recipients }: MessageFacts, { directory }: Trust): boolean {
  const providers = new Set(recipients.map(({ address }) => directory.providerOf(domainOf(address))));
  return providers.size === 1 && !providers.has(undefined);
}
