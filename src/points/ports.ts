// What the doors ask of the world, and what the world asks of a door: a few small interfaces, one adapter each
import type { Directory } from '../pec/directory.ts';
import type { Debt } from '../pec/receipts.ts';
import type { Instant, Mailbox, PecMsgid, SmtpEnvelope } from '../pec/values.ts';
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
   * and a 4xx for one of them is the answer to all: the message is not sent.
   * If `message` throws, or `signal` aborts, the connection is cut before the final dot and the promise rejects.
   * Rejects as well when the keeper cannot be reached or falls silent after the dot: then nobody knows.
   */
  deliver(
    envelope: SmtpEnvelope,
    message: AsyncIterable<Buffer>,
    signal?: AbortSignal,
  ): Promise<readonly KeeperAnswer[]>;
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

export interface Spool {
  /** Writes the bytes to a new file, passing every chunk to `tap` on the way. */
  take(bytes: AsyncIterable<Buffer>, tap: (chunk: Buffer) => void): Promise<Spooled>;
  /** The kept bytes of `name`, as in Spooled.read. Throws at once if there are none. */
  readKept(name: string, start: number, end: number): AsyncIterable<Buffer>;
  /** Forgets what was kept under `name`. Nothing happens if there is none. */
  release(name: string): Promise<void>;
}

/** The provider directory and the anchors, as they are at this moment. */
export interface Trust {
  readonly directory: Directory;
  /** DER of the trust anchors. */
  readonly anchors: readonly Buffer[];
}

/** Time and fresh names. */
export interface Origin {
  now(): Instant;
  /** A new unique identifier for a transport envelope: `[alphanumeric string]@[provider mail domain]` (§2.2.1). */
  pecMsgid(): PecMsgid;
  /** A new Message-ID for a receipt or an anomaly envelope, without brackets. */
  messageId(): string;
}
