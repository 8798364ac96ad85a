// What became of a message for each of its recipients, by the lines of the journal and what was heard since. RFC 6109 §2.3
import type { JournalRecord } from '../adapters/file-journal.ts';
import { type Debt, debtKey, type Recipient } from '../pec/receipts.ts';
import type { Heard, Tracked } from '../pec/tracking.ts';
import { type Instant, type Mailbox, type Msgid, mailboxKey, type PecMsgid } from '../pec/values.ts';

/**
 * `ordinary`: accepted for a mailbox outside PEC, of which nothing more is heard. `unknown`: the journal of this node
 * has no outcome.
 */
export type State =
  | 'accepted'
  | 'taken in charge'
  | 'delivered'
  | 'not delivered'
  | 'ordinary'
  | 'refused'
  | 'unknown';

export interface TracedRecipient {
  readonly address: Mailbox;
  /** Absent where the message was never certified. */
  readonly kind?: Recipient['kind'];
  readonly state: State;
  /** ISO 8601, UTC. */
  readonly heard: Partial<Readonly<Record<Heard, string>>>;
}

export interface TracedEvent extends Omit<JournalRecord, 'at' | 'sender' | 'recipients' | 'debts'> {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** The keys of the debts that arose: a later event has each one as `paid`. */
  readonly owed?: readonly string[];
}

export interface TracedMessage {
  /** Absent for ordinary mail. */
  readonly pecMsgid?: PecMsgid;
  readonly msgid?: Msgid;
  readonly sender: Mailbox | null;
  readonly subject?: string;
  readonly recipients: readonly TracedRecipient[];
  readonly events: readonly TracedEvent[];
}

/** The messages that `records` and `tracked` are about, in the order in which they first occur. */
export function traced(
  records: readonly JournalRecord[],
  tracked: readonly Tracked[],
): readonly TracedMessage[] {
  const messages = Map.groupBy(records, ({ pecMsgid, transaction }) => pecMsgid ?? transaction);
  const open = new Map(tracked.map(one => [one.about.pecMsgid as string, one]));
  const names = new Set([...messages.keys(), ...open.keys()]);
  return [...names].flatMap(name => tracedMessage(messages.get(name) ?? [], open.get(name)) ?? []);
}

function tracedMessage(
  records: readonly JournalRecord[],
  tracked: Tracked | undefined,
): TracedMessage | undefined {
  const debts = records.flatMap(record => record.debts ?? []);
  const about = debts[0]?.about ?? tracked?.about;
  const facts = about ?? records[0];
  if (facts === undefined) return undefined;
  const { pecMsgid, msgid, sender, subject } = facts;
  const heard = heardOf(records, tracked);
  const fate = fateOf(records, debts);
  return {
    ...(pecMsgid !== undefined && { pecMsgid }),
    ...(msgid !== undefined && { msgid }),
    sender,
    ...(subject !== undefined && { subject }),
    recipients: recipientsOf(records, about).map(({ address, kind }) => {
      const of = heard.get(mailboxKey(address)) ?? {};
      const instants = Object.entries(of).map(([name, at]) => [name, timeOf(at)]);
      const state = stateOf(of, kind, fate);
      return { address, ...(kind && { kind }), state, heard: Object.fromEntries(instants) };
    }),
    events: records.map(eventOf),
  };
}

/** Of another provider's message only those that came our way. */
function recipientsOf(
  records: readonly JournalRecord[],
  about: Tracked['about'] | undefined,
): readonly { readonly address: Mailbox; readonly kind?: Recipient['kind'] }[] {
  const addresses = records.filter(({ point }) => point !== 'worker').flatMap(({ recipients }) => recipients);
  const ours = new Map(addresses.map(address => [mailboxKey(address), address]));
  if (about === undefined) return [...ours.values()].map(address => ({ address }));
  return ours.size === 0
    ? about.recipients
    : about.recipients.filter(({ address }) => ours.has(mailboxKey(address)));
}

type Known = Partial<Record<Heard, Instant>>;

/** What we certified ourselves, and what others told us; by mailboxKey of the recipient. */
function heardOf(
  records: readonly JournalRecord[],
  tracked: Tracked | undefined,
): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>([...(tracked?.heard ?? [])].map(([key, of]) => [key, { ...of }]));
  const note = (heard: Heard, recipient: Mailbox, at: Instant) => {
    const of = known.get(mailboxKey(recipient)) ?? {};
    of[heard] ??= at;
    known.set(mailboxKey(recipient), of);
  };
  for (const { at: when, debts = [], heard: told } of records) {
    if (told !== undefined) for (const recipient of told.recipients) note(told.heard, recipient, when);
    for (const debt of debts)
      for (const { heard, recipient, at } of certified(debt)) note(heard, recipient, at);
  }
  return known;
}

function certified(debt: Debt): readonly { heard: Heard; recipient: Mailbox; at: Instant }[] {
  switch (debt.kind) {
    case 'presa-in-carico':
      return debt.taken.map(recipient => ({ heard: debt.kind, recipient, at: debt.at }));
    case 'avvenuta-consegna':
    case 'errore-consegna':
      return [{ heard: debt.kind, recipient: debt.recipient, at: debt.at }];
    case 'rilevazione-virus':
      return [{ heard: 'errore-consegna', recipient: debt.recipient, at: debt.at }];
    case 'accettazione':
    case 'non-accettazione':
    case 'preavviso-errore-consegna':
    case 'attesa':
      return [];
  }
}

/** What became of the message as a whole. A deferral at the delivery point decides nothing. */
function fateOf(
  records: readonly JournalRecord[],
  debts: readonly Debt[],
): 'accepted' | 'refused' | 'unknown' {
  if (records.some(({ event }) => event === 'accepted' || event === 'enveloped')) return 'accepted';
  const isRefused = records.some(({ event, point }) => event === 'refused' && point !== 'delivery');
  return isRefused || debts.some(({ kind }) => kind === 'non-accettazione') ? 'refused' : 'unknown';
}

/** A delivery outweighs the notice that there would be none: it may come late (§3.1.6). */
function stateOf(of: Known, kind: Recipient['kind'] | undefined, fate: ReturnType<typeof fateOf>): State {
  if (of['avvenuta-consegna'] !== undefined) return 'delivered';
  if (of['errore-consegna'] !== undefined) return 'not delivered';
  if (of['presa-in-carico'] !== undefined) return 'taken in charge';
  return fate === 'accepted' && kind === 'esterno' ? 'ordinary' : fate;
}

function eventOf({ at, sender: _, recipients: __, debts, ...rest }: JournalRecord): TracedEvent {
  return { at: timeOf(at), ...rest, ...(debts?.length && { owed: debts.map(debtKey) }) };
}

function timeOf(at: Instant): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}
