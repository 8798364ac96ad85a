// The proofs without which a 2xx cannot be written and a debt cannot be journaled. Each is minted here and nowhere else.
import { enhancedStatus, type ReasonName, reasons, replyText } from '../pec/reasons.ts';
import type { Acceptance, Debt, Delivery, NonDelivery, TakeCharge } from '../pec/receipts.ts';
import type { Instant, Mailbox, Msgid, PecMsgid } from '../pec/values.ts';

declare const proof: unique symbol;
type Proof<Name extends string> = { readonly [proof]: Name };

/** What a keeper said of one recipient, as it came over the wire: `text` is the reply without code and enhanced status. */
export interface KeeperAnswer {
  readonly recipient: Mailbox;
  readonly code: number;
  /** `5.1.1`; absent if the keeper gave none. */
  readonly enhanced?: string;
  readonly text: string;
}

/** A keeper answered 2xx for these recipients: the message is theirs to keep. */
export type Custody = Proof<'custody'> & { readonly recipients: readonly Mailbox[] };
/** A keeper answered 5xx for this recipient: the message will not arrive there. */
export type Rejection = Proof<'rejection'> & KeeperAnswer;
/** A debt whose event did happen: only this can be journaled. */
export type OwedDebt = Proof<'owed'> & { readonly debt: Debt };
/** A line is on disk, with the debts in it. */
export type Journaled = Proof<'journaled'> & { readonly line: JournalLine };

/** The answers of a keeper, sorted by what they prove. 4xx and anything unexpected prove nothing: `undecided`. */
export interface Verdict {
  /** Present if at least one recipient was accepted. */
  readonly custody?: Custody;
  readonly rejections: readonly Rejection[];
  readonly undecided: readonly KeeperAnswer[];
}

export function verdictOf(answers: readonly KeeperAnswer[]): Verdict {
  const within = (from: number, below: number) => answers.filter(({ code }) => code >= from && code < below);
  const accepted = within(200, 300).map(answer => answer.recipient);
  return {
    ...(accepted.length > 0 && { custody: { recipients: accepted } as unknown as Custody }),
    rejections: within(500, 600) as unknown as Rejection[],
    undecided: answers.filter(({ code }) => !(code >= 200 && code < 300) && !(code >= 500 && code < 600)),
  };
}

/** Acceptance, take-charge and delivery need a custody, non-delivery a rejection: a false certificate does not compile. */
export function owe(debt: Acceptance | TakeCharge | Delivery, because: Custody): OwedDebt;
export function owe(debt: NonDelivery, because: Rejection): OwedDebt;
export function owe(debt: Debt, because: Custody | Rejection): OwedDebt {
  const proven = 'recipients' in because ? because.recipients : [because.recipient];
  const stated = 'recipient' in debt ? [debt.recipient] : debt.kind === 'presa-in-carico' ? debt.taken : [];
  if (stated.some(recipient => !proven.includes(recipient)))
    throw new Error(`${debt.kind} for a recipient that nothing is proved of`);
  return { debt } as unknown as OwedDebt;
}

/** One operation, as §2.3 wants it logged. */
export interface JournalLine {
  readonly at: Instant;
  /**
   * `intent` comes before the final dot, `sent` after a receipt is the MTA's; `orphan` says that an intent was found
   * whose outcome nobody knows; the rest names what happened.
   */
  readonly event:
    | 'intent'
    | 'accepted'
    | 'taken'
    | 'passed-on'
    | 'enveloped'
    | 'delivered'
    | 'sent'
    | 'refused'
    | 'orphan';
  readonly point: 'access' | 'incoming' | 'delivery' | 'worker';
  readonly sender: Mailbox | null;
  readonly recipients: readonly Mailbox[];
  readonly subject?: string;
  readonly pecMsgid?: PecMsgid;
  readonly msgid?: Msgid;
  /** Message-IDs of the messages that this operation made, without brackets. */
  readonly generated?: readonly string[];
  /** Name of the sending provider, where it is another one. */
  readonly provider?: string;
  /** Joins an intent with its outcome. */
  readonly transaction: string;
  /** The key of the debt that was paid (`sent`). */
  readonly paid?: string;
  /** Why (`refused`). */
  readonly reason?: string;
  readonly debts?: readonly OwedDebt[];
}

/** For the journal adapter alone, once the line is fsynced. */
export function journaled(line: JournalLine): Journaled {
  return { line } as unknown as Journaled;
}

/** What a listener writes to the wire. A 2xx cannot be made without proof that the work is done. */
export interface Reply {
  readonly code: number;
  /** Enhanced status and text. */
  readonly text: string;
}

/** 250: the keeper has the message and the journal has the line. */
export function accepted(_custody: Custody, _line: Journaled, about: string): Reply {
  return { code: 250, text: `2.0.0 Ok: ${about.replace(/[^\x20-\x7e]/g, '')}` };
}

/** 250 for a recipient whose rejection the sender will hear of by receipt (§3.3.3). */
export function settled(_rejection: Rejection, _line: Journaled, about: string): Reply {
  return {
    code: 250,
    text: `2.0.0 Ok, the sender is told by receipt: ${about.replace(/[^\x20-\x7e]/g, '')}`,
  };
}

/** The keeper's own negative answer, handed back to the peer unchanged in meaning. Anything but 4xx and 5xx is trouble. */
export function passedBack({ code, enhanced, text }: KeeperAnswer): Reply {
  if (code < 400 || code > 599) return { code: reasons.trouble.code, text: replyText(reasons.trouble) };
  const own = enhanced?.startsWith(`${Math.floor(code / 100)}.`);
  const status = own ? enhanced : enhancedStatus({ code, detail: '0.0' });
  return { code, text: `${status} ${text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 400)}` };
}

/** A refusal that a rule decided (a row of `reasons`) or a keeper (its answer): the listener writes it as it is. */
export class Refusal extends Error {
  readonly reply: Reply;
  constructor(why: ReasonName | KeeperAnswer, about = '') {
    const reply =
      typeof why === 'string'
        ? { code: reasons[why].code, text: replyText(reasons[why], about) }
        : passedBack(why);
    super(`${reply.code} ${reply.text}`);
    this.reply = reply;
  }
}

/** Anything thrown becomes a reply: a Refusal is itself, all the rest is temporary trouble. */
export function replyTo(trouble: unknown): Reply {
  return trouble instanceof Refusal ? trouble.reply : new Refusal('trouble').reply;
}
