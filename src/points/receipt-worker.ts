// The receipt worker: pays one debt. RFC 6109 §3.1.4, §3.2.1, §3.3.2, §3.3.3
import { briefOriginal } from '../mime/brief.ts';
import { type Issuer, receipt } from '../pec/compose.ts';
import { type Debt, debtKey, type KeptOriginal } from '../pec/receipts.ts';
import type { Signer } from '../smime/sign.ts';
import { Refusal, verdictOf } from './custody.ts';
import type { Journal, Keeper, Spool } from './ports.ts';
import { signedMessage } from './signed-message.ts';

export interface WorkerWorld {
  readonly keeper: Keeper;
  readonly journal: Journal;
  readonly spool: Spool;
  readonly signer: Signer;
}

/**
 * Composes, signs and sends the receipt, then journals that it was sent. Everything in it derives from the debt:
 * carried out twice after a crash, it sends the same bytes under the same Message-ID. Rejects if the MTA did not take it.
 */
export async function pay(world: WorkerWorld, issuer: Issuer, debt: Debt): Promise<void> {
  const plan = receipt(debt, issuer);
  const original = debt.kind === 'avvenuta-consegna' ? debt.original : undefined;
  const message = signedMessage(plan, world.signer, original && carried(world.spool, original, debt));
  const answers = await world.keeper.deliver({ from: issuer.address, to: [debt.to] }, message);
  const { custody } = verdictOf(answers);
  if (custody === undefined) throw new Refusal(answers[0] ?? 'keeperBusy');

  const { about } = debt;
  await world.journal.write({
    at: debt.at,
    event: 'sent',
    point: 'worker',
    sender: about.sender,
    recipients: about.recipients.map(({ address }) => address),
    ...(about.subject !== undefined && { subject: about.subject }),
    pecMsgid: about.pecMsgid,
    ...(about.msgid !== undefined && { msgid: about.msgid }),
    generated: [debt.messageId],
    transaction: debt.messageId,
    paid: debtKey(debt),
  });
  if (original !== undefined) await world.spool.release(original.file);
}

/** The original as the receipt carries it: whole, or with hashes in place of attachments (§3.3.2.2). */
function carried(spool: Spool, { file, start, end }: KeptOriginal, debt: Debt): AsyncIterable<Buffer> {
  const original = spool.readKept(file, start, end);
  return debt.kind === 'avvenuta-consegna' && debt.form === 'breve' ? briefOriginal(original) : original;
}
