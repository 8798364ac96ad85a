// What the doors ask of the world, and what the world asks of a door: a few small interfaces, one adapter each
import type { Directory } from '../pec/directory.ts';
import type { Debt, MessageFacts } from '../pec/receipts.ts';
import type { Hearing, Tracked } from '../pec/tracking.ts';
import type { Instant, Mailbox, PecMsgid, SmtpEnvelope } from '../pec/values.ts';
import type { Revocation } from '../smime/crl.ts';
import type { Journaled, JournalLine, KeeperAnswer, Reply } from './custody.ts';

/** One SMTP or LMTP conversation, as a door sees it. */
export interface Session {
  /** Names the conversation in every log line. */
  readonly id: string;
  /** The authenticated login; absent where nobody logged in. */
  readonly login?: string;
  /** Aborted when the peer vanishes or the daemon gives up on it. */
  readonly gone: AbortSignal;
}

/** What a point offers to its listener. To refuse, each throws a Refusal; anything else thrown is trouble (451). */
export interface Door {
  mail(from: Mailbox | null, session: Session): Promise<void>;
  recipient(to: Mailbox, from: Mailbox | null, session: Session): Promise<void>;
  /**
   * Takes one message. `bytes` is the DATA without dot-stuffing and final dot; it throws if the client vanishes.
   * One reply for the whole transaction (SMTP), or one per recipient in RCPT order (LMTP).
   */
  message(envelope: SmtpEnvelope, bytes: AsyncIterable<Buffer>, session: Session): Promise<readonly Reply[]>;
}

/** Who takes a message off our hands: the MTA (SMTP) or the mail store (LMTP). */
export interface Keeper {
  /**
   * One answer per recipient of `envelope.to`, in that order. Over SMTP those accepted at RCPT share the reply to the final dot,
   * and a 4xx for one of them, or any refusal of an indispensable one, is the answer to all: the message is not sent.
   * If `message` throws, or the signal aborts, the connection is cut before the final dot and the promise rejects.
   * Rejects with NothingSent when the keeper cannot be reached or is lost before the dot; with another error when it
   * is lost after the dot: then nobody knows.
   */
  deliver(
    envelope: SmtpEnvelope,
    message: AsyncIterable<Buffer>,
    options?: DeliverOptions,
  ): Promise<readonly KeeperAnswer[]>;
}

export interface DeliverOptions {
  /** Before the final dot it cuts the connection; after it the keeper's answer is waited for all the same. */
  readonly signal?: AbortSignal;
  /** Recipients whose refusal we could tell nobody of, once the others have the message. */
  readonly indispensable?: readonly Mailbox[];
}

/** Where credentials are tried. */
export interface Authenticator {
  /** True if they are good, false if not; rejects when nobody can tell. */
  check(login: string, password: string): Promise<boolean>;
}

/** The legal log, and the write-ahead log of debts. */
export interface Journal {
  /** Resolves once the line is on disk (fsync). */
  write(line: JournalLine): Promise<Journaled>;
}

/** The debt book: what is owed, in Redis. */
export interface DebtBook {
  /** Rejects unless Redis answers and can take a debt now. */
  ready(): Promise<void>;
  /** Idempotent: a debt already booked, or already paid, stays as it is. Rejects if Redis did not take all of them. */
  book(debts: readonly Debt[]): Promise<void>;
}

/** Which mailboxes take ordinary mail. */
export interface Mailboxes {
  isOpen(mailbox: Mailbox): Promise<boolean>;
}

/** A received message on disk. Disposing it removes the file; what was kept for a debt stays. */
export interface Spooled extends AsyncDisposable {
  /** In bytes. */
  readonly size: number;
  /** The bytes from offset `start` (0) up to, not including, `end` (the size). May be read many times. */
  read(start?: number, end?: number): AsyncIterable<Buffer>;
  /** Keeps the bytes under `name` until they are released, durably: file and directory entry are on disk when it resolves. */
  keep(name: string): Promise<void>;
}

/** A message on its way to disk. Disposing it removes the file. */
export interface SpoolDraft extends AsyncDisposable {
  append(chunk: Buffer): Promise<void>;
  /** The bytes so far, from the first to the last. */
  read(): AsyncIterable<Buffer>;
}

export interface Spool {
  /** A new file to be written as the bytes pass. */
  draft(): Promise<SpoolDraft>;
  /** Writes the bytes to a new file, passing every chunk to `tap` on the way. */
  take(bytes: AsyncIterable<Buffer>, tap: (chunk: Buffer) => void): Promise<Spooled>;
  /** The kept bytes of `name`, as in Spooled.read. Throws at once if there are none. */
  readKept(name: string, start: number, end: number): AsyncIterable<Buffer>;
  /** Forgets what was kept under `name`. Nothing happens if there is none. */
  release(name: string): Promise<void>;
}

/** The virus scanner. */
export interface Scanner {
  /** Begins to scan one message. Rejects if the scanner cannot be reached. */
  scan(): Promise<Scan>;
}

/** Disposing it gives up; nobody hears the verdict then. */
export interface Scan extends AsyncDisposable {
  /** Resolves when the scanner takes more. Rejects if it went away. */
  push(chunk: Buffer): Promise<void>;
  /** After the last chunk: the name of the virus, or undefined if there is none. Rejects if the scanner cannot tell. */
  verdict(): Promise<string | undefined>;
}

/** Where infected messages are kept (§2.2.4). */
export interface VirusStore {
  /** Keeps the message durably, with what is known of it beside; it is on disk when this resolves. Storing a name again changes nothing. */
  store(
    name: string,
    message: AsyncIterable<Buffer>,
    facts: Readonly<Record<string, unknown>>,
  ): Promise<void>;
}

/** What we heard of the messages that our users sent; shared by all nodes (§3.1.6). */
export interface Waits {
  /** Begins to track a message; one that is tracked already stays as it is. */
  track(about: MessageFacts): Promise<void>;
  /** Notes what was heard, at its first hearing. A message that is not tracked is passed over. */
  note(hearing: Hearing, at: Instant): Promise<void>;
  /** Undefined if the message is not tracked, or not any more. */
  of(pecMsgid: PecMsgid): Promise<Tracked | undefined>;
}

/** The provider directory, the anchors and the revocation lists, as they are at this moment. */
export interface Trust {
  readonly directory: Directory;
  /** DER of the trust anchors. */
  readonly anchors: readonly Buffer[];
  readonly revocation: Revocation;
}

/** Time and fresh names. */
export interface Origin {
  now(): Instant;
  /** A new unique identifier for a transport envelope: `[alphanumeric string]@[provider mail domain]` (§2.2.1). */
  pecMsgid(): PecMsgid;
  /** A new Message-ID for a receipt or an anomaly envelope, without brackets. */
  messageId(): string;
}
