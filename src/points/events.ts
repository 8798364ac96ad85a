// Operational events: what an administrator sees in the log and counts in the metrics. Telling one never throws
import type { Debt } from '../pec/receipts.ts';
import type { JournalLine, Reply } from './custody.ts';
import type { Session } from './ports.ts';

export type PointName = JournalLine['point'];

export interface Events {
  listening(point: PointName, address: string, port: number): void;
  connectionOpened(point: PointName, sessionId: string): void;
  connectionClosed(point: PointName, sessionId: string): void;
  authFailed(point: PointName, sessionId: string, login: string): void;
  /** A 4xx or 5xx for the peer. The listener tells it, whoever refused. */
  refused(point: PointName, session: Session, reply: Reply): void;
  /** A message was taken. The listener tells it: `text` of the reply, `ms` from DATA to the reply, `size` in bytes. */
  accepted(
    point: PointName,
    session: Session,
    message: {
      readonly text: string;
      readonly recipients: number;
      readonly size: number;
      readonly ms: number;
    },
  ): void;
  /** Something broke that is not the peer's doing; `where` is one of few words, it labels a metric. */
  trouble(where: string, error: unknown, sessionId?: string): void;
  /** Something in the provider directory is not as it should be. */
  oddity(what: string): void;
  receiptSent(kind: Debt['kind'], ms: number): void;
  receiptFailed(kind: Debt['kind'], attempt: number, error: unknown): void;
  redisLost(): void;
  redisBack(): void;
  ready(): void;
  draining(): void;
  /** An intent without outcome was found: whether the keeper has that message, nobody knows. */
  orphan(transaction: string): void;
}
