// The proofs without which a 2xx cannot be written and a debt cannot be journaled. Each is minted here and nowhere else.
import { enhancedStatus, type ReasonName, reasons, replyText } from '../pec/reasons.ts';
import type {
  Acceptance,
  Debt,
  Delivery,
  NonAcceptance,
  NonDelivery,
  TakeCharge,
  TimeoutNotice,
  VirusDetection,
  Wait,
} from '../pec/receipts.ts';
import { type Hearing, overdueRecipients, type Tracked, unheardRecipients } from '../pec/tracking.ts';
import { type Instant, type Mailbox, type Msgid, mailboxKey, type PecMsgid } from '../pec/values.ts';

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
/** Somebody who can know says that the message will not reach these recipients. */
export type Failure = Proof<'failure'> & { readonly recipients: readonly Mailbox[] };
/** A scanner found a virus in the message for these recipients, and it was not passed on. */
export type Infection = Proof<'infection'> & {
  readonly recipients: readonly Mailbox[];
  readonly virus: string;
};
/** Time is up, and nothing was heard of these recipients that would close the wait. */
export type Silence = Proof<'silence'> & { readonly recipients: readonly Mailbox[] };
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

/** Temporary refusals of a message that has been idle for longer than it may: they will not be tried again (§2.2.2). */
export function expired(
  answers: readonly KeeperAnswer[],
  certifiedAt: Instant,
  now: Instant,
  idle: number,
): Failure {
  const recipients = now - certifiedAt >= idle ? answers.map(({ recipient }) => recipient) : [];
  return { recipients } as unknown as Failure;
}

/** A bounce, for those of its recipients of whom nothing was heard yet: after a take-charge it is a lie (§2.2.2). */
export function bounced(tracked: Tracked, recipients: readonly Mailbox[]): Failure {
  const unheard = new Set(unheardRecipients(tracked).map(mailboxKey));
  return { recipients: recipients.filter(one => unheard.has(mailboxKey(one))) } as unknown as Failure;
}

/** What the provider of the recipients told us of a message that we did send, and whose outcome is open: it does not deliver (§3.2.4). */
export function toldOf({ heard, recipients }: Hearing, tracked: Tracked): Failure {
  const open = new Set(overdueRecipients(tracked, 'second').map(mailboxKey));
  const failed = heard === 'errore-consegna' ? recipients.filter(one => open.has(mailboxKey(one))) : [];
  return { recipients: failed } as unknown as Failure;
}

/** The scanner's verdict on a message that goes no further. */
export function infected(virus: string, recipients: readonly Mailbox[]): Infection {
  return { virus, recipients } as unknown as Infection;
}

/** Whom the notice of `wait` is due for; nobody before its time (§3.1.6). */
export function silenceOf({ notice, due }: Wait, tracked: Tracked, now: Instant): Silence {
  const recipients = now < due ? [] : overdueRecipients(tracked, notice);
  return { recipients } as unknown as Silence;
}

/** Each debt needs the proof of its event: a false certificate does not compile, and one for another recipient throws. */
export function owe(debt: Acceptance | TakeCharge | Delivery | Wait, because: Custody): OwedDebt;
export function owe(debt: NonDelivery, because: Rejection | Failure): OwedDebt;
export function owe(debt: NonAcceptance, because: Refusal): OwedDebt;
export function owe(debt: VirusDetection, because: Infection): OwedDebt;
export function owe(debt: TimeoutNotice, because: Silence): OwedDebt;
export function owe(
  debt: Debt,
  because: Custody | Rejection | Failure | Refusal | Infection | Silence,
): OwedDebt {
  const stated = 'recipient' in debt ? [debt.recipient] : debt.kind === 'presa-in-carico' ? debt.taken : [];
  const proven =
    'recipients' in because ? because.recipients : 'recipient' in because ? [because.recipient] : [];
  const keys = new Set(proven.map(mailboxKey));
  if (stated.some(recipient => !keys.has(mailboxKey(recipient))))
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
    | 'infected'
    | 'bounced'
    | 'overdue'
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
  /** What a receipt told of a message of ours. */
  readonly heard?: Hearing;
  /** Why, or what was odd. */
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

/** 250 for what goes no further, because somebody will hear of it by a receipt that is owed (§3.1.2, §3.2.3, §3.3.3). */
export function settled(line: Journaled, about: string): Reply {
  if ((line.line.debts ?? []).length === 0) throw new Error('settled, but nothing is owed');
  return { code: 250, text: `2.0.0 Ok, told by receipt: ${about.replace(/[^\x20-\x7e]/g, '')}` };
}

/** The keeper's own negative answer, handed back to the peer unchanged in meaning. Anything but 4xx and 5xx is trouble. */
export function passedBack({ code, enhanced, text }: KeeperAnswer): Reply {
  if (code < 400 || code > 599) return { code: reasons.trouble.code, text: replyText(reasons.trouble) };
  const own = enhanced?.startsWith(`${Math.floor(code / 100)}.`);
  const status = own ? enhanced : enhancedStatus({ code, detail: '0.0' });
  return { code, text: `${status} ${text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 400)}` };
}

/** The keeper could not be reached, or went away before the final dot: it has nothing. */
export class NothingSent extends Error {}

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
