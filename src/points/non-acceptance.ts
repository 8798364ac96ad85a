// A submission that is not accepted: why, and the notice that its author is owed. RFC 6109 §3.1.2, §3.1.3
import type { Issuer } from '../pec/compose.ts';
import { virusError } from '../pec/delivery.ts';
import type { FormalFault } from '../pec/formal-checks.ts';
import { formalFaults } from '../pec/reasons.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import { faultsInItalian } from '../pec/texts.ts';
import { type Journaled, owe, Refusal } from './custody.ts';
import { type Keepers, type Operation, settle } from './hand-over.ts';
import type { Origin } from './ports.ts';

/** Thrown once the client has said all: the refusal that it hears, and what the notice says. */
export class NotAccepted extends Error {
  readonly refusal: Refusal;
  /** In Italian; or the name of the virus. */
  readonly why: string;
  readonly fault: 'form' | 'virus';
  private constructor(refusal: Refusal, why: string, fault: 'form' | 'virus') {
    super(refusal.message);
    this.refusal = refusal;
    this.why = why;
    this.fault = fault;
  }

  static formal({ name, about = '' }: FormalFault): NotAccepted {
    const refusal = new Refusal(
      'formalException',
      formalFaults[name].replace('{}', () => about),
    );
    return new NotAccepted(
      refusal,
      faultsInItalian[name].replace('{}', () => about),
      'form',
    );
  }

  /** `limit` in bytes. */
  static tooBig(limit: number): NotAccepted {
    const why = faultsInItalian.tooBig.replace('{}', String(limit));
    return new NotAccepted(new Refusal('tooBig', String(limit)), why, 'form');
  }

  static virus(virus: string): NotAccepted {
    return new NotAccepted(new Refusal('virus', virus), virus, 'virus');
  }
}

/** Journals the refusal with the notice that is owed for it. The original is never inside. */
export async function oweNonAcceptance(
  keepers: Keepers & { readonly origin: Origin },
  issuer: Issuer,
  operation: Operation,
  about: MessageFacts,
  { refusal, why, fault }: NotAccepted,
): Promise<Journaled> {
  const error =
    fault === 'virus'
      ? virusError(why, issuer.name)
      : ({ errore: 'altro', extended: `5.6.0 - ${issuer.name} - ${why}` } as const);
  const debt = { messageId: keepers.origin.messageId(), at: operation.at, to: about.sender, about };
  const notice = owe({ kind: 'non-accettazione', ...debt, error, why: error.virus ?? why }, refusal);
  const event = fault === 'virus' ? 'infected' : 'refused';
  return settle(keepers, { ...operation, event, reason: refusal.message, debts: [notice] });
}
