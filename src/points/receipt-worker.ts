// The receipt worker: pays one debt. RFC 6109 §3.1.4, §3.1.6, §3.2.1, §3.3.2, §3.3.3
import { briefOriginal } from '../mime/brief.ts';
import { type Issuer, receipt } from '../pec/compose.ts';
import { type Debt, debtKey, type KeptOriginal, type Receipt, type Wait } from '../pec/receipts.ts';
import { timeoutError } from '../pec/tracking.ts';
import type { Instant } from '../pec/values.ts';
import type { Signer } from '../smime/sign.ts';
import { type JournalLine, owe, Refusal, silenceOf, verdictOf } from './custody.ts';
import { type Keepers, settle } from './hand-over.ts';
import type { Origin, Spool } from './ports.ts';
import { signedMessage } from './signed-message.ts';

export interface WorkerWorld extends Keepers {
  readonly spool: Spool;
  readonly signer: Signer;
  readonly origin: Origin;
}

/** Pays a debt: a receipt is sent, a wait is looked into. Rejects if that could not be; it may be run twice for one debt. */
export async function pay(world: WorkerWorld, issuer: Issuer, debt: Debt): Promise<void> {
  if (debt.kind === 'attesa') await endWait(world, issuer, debt);
  else await send(world, issuer, debt);
}

/**
 * Composes, signs and sends the receipt, then journals that it was sent. Everything in it derives from the debt:
 * carried out twice after a crash, it sends the same bytes under the same Message-ID. Rejects if the MTA did not take it.
 */
async function send(world: WorkerWorld, issuer: Issuer, owed: Receipt): Promise<void> {
  const plan = receipt(owed, issuer);
  const original = owed.kind === 'avvenuta-consegna' ? owed.original : undefined;
  const message = signedMessage(plan, world.signer, original && carried(world.spool, original, owed));
  const answers = await world.keeper.deliver({ from: issuer.address, to: [owed.to] }, message);
  const { custody } = verdictOf(answers);
  if (custody === undefined) throw new Refusal(answers[0] ?? 'keeperBusy');
  await world.journal.write({
    ...paid(owed, owed.at),
    event: 'sent',
    transaction: owed.messageId,
    generated: [owed.messageId],
  });
}

/** Forgets what was kept for a debt, once nobody will pay it again. */
export async function forget(spool: Spool, debt: Debt): Promise<void> {
  if (debt.kind === 'avvenuta-consegna' && debt.original !== undefined)
    await spool.release(debt.original.file);
}

/** The original as the receipt carries it: whole, or with hashes in place of attachments (§3.3.2.2). */
function carried(spool: Spool, { file, start, end }: KeptOriginal, owed: Receipt): AsyncIterable<Buffer> {
  const original = kept(spool, file, start, end);
  return owed.kind === 'avvenuta-consegna' && owed.form === 'breve' ? briefOriginal(original) : original;
}

/** A debt that no further attempt can pay: somebody must look at it. */
export class Unpayable extends Error {
  override readonly name = 'Unpayable';
}

function kept(spool: Spool, file: string, start: number, end: number): AsyncIterable<Buffer> {
  try {
    return spool.readKept(file, start, end);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new Unpayable(`${file} is not in the spool: the receipt was sent before a crash, or cannot be`, {
      cause,
    });
  }
}

/** At its end a wait becomes a notice for each recipient of whom nothing was heard; mostly for nobody (§3.1.6). */
async function endWait(world: WorkerWorld, issuer: Issuer, wait: Wait): Promise<void> {
  const now = world.origin.now();
  if (now < wait.due) throw new Error('the clock went back: the wait is not over');
  const tracked = await world.waits.of(wait.about.pecMsgid);
  // What was heard is unknown, until reconciliation has read it in the journal: a false notice is worse than a late one.
  if (tracked === undefined) throw new Error(`${wait.about.pecMsgid} is not tracked`);
  const silence = silenceOf(wait, tracked, now);
  const debts = silence.recipients.map(recipient =>
    owe(
      {
        kind: 'preavviso-errore-consegna',
        messageId: world.origin.messageId(),
        at: now,
        to: wait.to,
        about: wait.about,
        recipient,
        notice: wait.notice,
        error: timeoutError(wait.notice, issuer.name),
      },
      silence,
    ),
  );
  await settle(world, { ...paid(wait, now), event: 'overdue', transaction: debtKey(wait), debts });
}

/** What the journal says of a debt that is no more. */
function paid(debt: Debt, at: Instant): Omit<JournalLine, 'event' | 'transaction'> {
  const { pecMsgid, msgid, subject, sender, recipients } = debt.about;
  return {
    point: 'worker',
    at,
    sender,
    recipients: recipients.map(({ address }) => address),
    ...(subject !== undefined && { subject }),
    pecMsgid,
    ...(msgid !== undefined && { msgid }),
    paid: debtKey(debt),
  };
}
