// The wait for each certified recipient: what was heard, and which notice is due at 12 and at 24 hours. RFC 6109 §3.1.6
import type { ReceivedClass } from './admission.ts';
import type { Directory } from './directory.ts';
import type { DeliveryError, MessageFacts, Wait } from './receipts.ts';
import {
  type Domain,
  domainOf,
  type Instant,
  instant,
  type Mailbox,
  mailboxKey,
  type PecMsgid,
} from './values.ts';

/** What a provider told us of a recipient: it answers for the message from now on, or what became of it. */
export type Heard = 'presa-in-carico' | 'avvenuta-consegna' | 'errore-consegna';

export interface Hearing {
  readonly pecMsgid: PecMsgid;
  readonly heard: Heard;
  readonly recipients: readonly Mailbox[];
}

/** A message of a user of ours, and the first instant at which each thing was heard of each recipient. */
export interface Tracked {
  readonly about: MessageFacts;
  /** By mailboxKey of the recipient. */
  readonly heard: ReadonlyMap<string, Partial<Readonly<Record<Heard, Instant>>>>;
}

/** What a receipt tells of a message of ours, if the provider of the recipient wrote it; undefined if nothing. */
export function hearingOf(
  received: ReceivedClass,
  ours: readonly Domain[],
  directory: Directory,
): Hearing | undefined {
  if (received.class !== 'receipt') return undefined;
  const { certification, provider } = received;
  const { about, consegna, ricezione, tipo } = certification;
  if (!ours.includes(domainOf(about.sender))) return undefined;
  const told = tipo === 'presa-in-carico' ? ricezione : consegna === undefined ? [] : [consegna];
  const recipients = told.filter(one => directory.providerOf(domainOf(one))?.name === provider.name);
  if (recipients.length === 0) return undefined;
  const { pecMsgid } = about;
  switch (tipo) {
    case 'presa-in-carico':
    case 'avvenuta-consegna':
    case 'errore-consegna':
      return { pecMsgid, heard: tipo, recipients };
    case 'rilevazione-virus':
      return { pecMsgid, heard: 'errore-consegna', recipients };
    case 'accettazione':
    case 'non-accettazione':
    case 'posta-certificata':
    case 'preavviso-errore-consegna':
      return undefined;
  }
}

/** The certified recipients for whom the notice is due: no word at all at 12 hours, no outcome at 24. */
export function overdueRecipients({ about, heard }: Tracked, notice: 'first' | 'second'): readonly Mailbox[] {
  return about.recipients
    .filter(({ kind }) => kind === 'certificato')
    .map(({ address }) => address)
    .filter(address => {
      const of = heard.get(mailboxKey(address));
      const taken = notice === 'first' && of?.['presa-in-carico'] !== undefined;
      return !taken && !hasOutcome(of);
    });
}

/** The certified recipients of whom nothing was heard yet: only for them can a bounce be true. */
export function unheardRecipients(tracked: Tracked): readonly Mailbox[] {
  return overdueRecipients(tracked, 'first');
}

function hasOutcome(of: Partial<Record<Heard, Instant>> | undefined): boolean {
  return of?.['avvenuta-consegna'] !== undefined || of?.['errore-consegna'] !== undefined;
}

/** The two waits that begin when a message is accepted at `at`; `timeouts` in ms. */
export function waitsFor(
  about: MessageFacts,
  at: Instant,
  timeouts: { readonly firstNotice: number; readonly secondNotice: number },
): readonly Wait[] {
  const wait = { kind: 'attesa', to: about.sender, about } as const;
  return [
    { ...wait, notice: 'first', due: instant(at + timeouts.firstNotice) },
    { ...wait, notice: 'second', due: instant(at + timeouts.secondNotice) },
  ];
}

/** errore and errore-esteso of the two notices; the codes must differ (pec.md section 2). */
export function timeoutError(notice: 'first' | 'second', provider: string): DeliveryError {
  const said = {
    first: `4.4.1 - ${provider} - il messaggio non è stato consegnato nelle prime dodici ore dal suo invio`,
    second: `5.4.1 - ${provider} - il messaggio non è stato consegnato nelle prime ventiquattro ore dal suo invio`,
  };
  return { errore: 'altro', extended: said[notice] };
}
