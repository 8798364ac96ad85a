// The receipts we owe and what each one is called: one union, one table. RFC 6109 §3, pec.md section 2
import type { Instant, Mailbox, Msgid, PecMsgid } from './values.ts';

/** The form of a delivery receipt that the sender asked for (§3.3.2). */
export type ReceiptForm = 'completa' | 'breve' | 'sintetica';

export interface Recipient {
  readonly address: Mailbox;
  /** `certificato`: its domain is in the provider directory; `esterno`: ordinary mail. */
  readonly kind: 'certificato' | 'esterno';
}

/** What every receipt says of the message that it is about: the certified data of §4.4, in RCPT order. */
export interface MessageFacts {
  readonly pecMsgid: PecMsgid;
  readonly msgid?: Msgid;
  readonly sender: Mailbox;
  readonly recipients: readonly Recipient[];
  /** Reply-To or From of the original, as bare addresses. */
  readonly replyTo: string;
  /** The decoded Subject. */
  readonly subject?: string;
}

/** Where the bytes of the original message lie for a receipt that carries them. */
export interface KeptOriginal {
  /** The name under which the spool keeps the received message for this debt. */
  readonly file: string;
  /** Offsets of the original (the body of postacert.eml) in that file: from `start` up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
}

/** `errore` and `errore-esteso` of a negative receipt; `extended` is `5.x.y - GESTORE - testo` (pec.md section 2). */
export interface DeliveryError {
  readonly errore: 'no-dest' | 'no-dominio' | 'virus' | 'altro';
  readonly extended: string;
  /** What the scanner called it, where `errore` is `virus`. */
  readonly virus?: string;
}

interface Owed {
  /** Message-ID of the receipt, without brackets: drawn when the debt arises, so that paying it twice sends the same bytes. */
  readonly messageId: string;
  /** The instant of the event: the one value in Date, text, XML and signing time (§4.1). */
  readonly at: Instant;
  /** The mailbox of the user, or mailReceipt of the other provider. */
  readonly to: Mailbox;
  readonly about: MessageFacts;
}

export interface Acceptance extends Owed {
  readonly kind: 'accettazione';
}
export interface NonAcceptance extends Owed {
  readonly kind: 'non-accettazione';
  readonly error: DeliveryError;
  /** What the text names: the formal exception in Italian, or the virus. */
  readonly why: string;
}
export interface TakeCharge extends Owed {
  readonly kind: 'presa-in-carico';
  readonly taken: readonly Mailbox[];
}
export interface VirusDetection extends Owed {
  readonly kind: 'rilevazione-virus';
  readonly recipient: Mailbox;
  readonly error: DeliveryError;
}
export interface Delivery extends Owed {
  readonly kind: 'avvenuta-consegna';
  readonly recipient: Mailbox;
  readonly form: ReceiptForm;
  /** Absent in a concise receipt. */
  readonly original?: KeptOriginal;
}
export interface NonDelivery extends Owed {
  readonly kind: 'errore-consegna';
  readonly recipient: Mailbox;
  readonly error: DeliveryError;
}
/** The 12 hour (`first`) and the 24 hour (`second`) notice (§3.1.6). */
export interface TimeoutNotice extends Owed {
  readonly kind: 'preavviso-errore-consegna';
  readonly recipient: Mailbox;
  readonly notice: 'first' | 'second';
  readonly error: DeliveryError;
}

export type Receipt =
  | Acceptance
  | NonAcceptance
  | TakeCharge
  | VirusDetection
  | Delivery
  | NonDelivery
  | TimeoutNotice;

/** Not a receipt yet: at `due` it shows for which recipients a timeout notice is owed (§3.1.6). */
export interface Wait {
  readonly kind: 'attesa';
  readonly notice: 'first' | 'second';
  readonly due: Instant;
  readonly to: Mailbox;
  readonly about: MessageFacts;
}

/** What we owe somebody. Plain JSON: it is written to the journal and to the queue, and is all that paying it needs. */
export type Debt = Receipt | Wait;

/** One debt per message, kind and recipients, however often it is found again: the identity of its job. */
export function debtKey(debt: Debt): string {
  const whom = (): readonly string[] => {
    switch (debt.kind) {
      case 'accettazione':
      case 'non-accettazione':
        return [];
      case 'attesa':
        return [debt.notice];
      case 'presa-in-carico':
        return debt.taken;
      case 'preavviso-errore-consegna':
        return [debt.notice, debt.recipient];
      case 'rilevazione-virus':
      case 'avvenuta-consegna':
      case 'errore-consegna':
        return [debt.recipient];
    }
  };
  return [
    identity(debt),
    debt.about.pecMsgid,
    ...whom()
      .map(one => one.toLowerCase())
      .sort(),
  ].join(' ');
}

/** A recipient has one outcome (pec.md section 5): of several that are owed, the first counts. */
function identity({ kind }: Debt): string {
  switch (kind) {
    case 'rilevazione-virus':
    case 'avvenuta-consegna':
    case 'errore-consegna':
      return 'esito';
    case 'accettazione':
    case 'non-accettazione':
    case 'attesa':
    case 'presa-in-carico':
    case 'preavviso-errore-consegna':
      return kind;
  }
}

/** Subject prefix of a receipt; its kind is the value of X-Ricevuta and of `tipo` in the XML alike. */
export function receiptSubject(receipt: Receipt): string {
  const virus = 'error' in receipt && receipt.error.errore === 'virus';
  switch (receipt.kind) {
    case 'accettazione':
      return 'ACCETTAZIONE: ';
    case 'non-accettazione':
      return virus ? 'AVVISO DI NON ACCETTAZIONE PER VIRUS: ' : 'AVVISO DI NON ACCETTAZIONE: ';
    case 'presa-in-carico':
      return 'PRESA IN CARICO: ';
    case 'rilevazione-virus':
      return 'PROBLEMA DI SICUREZZA: ';
    case 'avvenuta-consegna':
      return 'CONSEGNA: ';
    case 'errore-consegna':
      return virus ? 'AVVISO DI MANCATA CONSEGNA PER VIRUS: ' : 'AVVISO DI MANCATA CONSEGNA: ';
    case 'preavviso-errore-consegna':
      return 'AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: ';
  }
}
