// What a delivery earns: the form of the receipt for one recipient, the error of a refusal. RFC 6109 §3.3.2, §3.3.3
import { parseAddresses } from './addresses.ts';
import { field, type Header, valuesOf } from './header.ts';
import type { DeliveryError, ReceiptForm } from './receipts.ts';
import { type Mailbox, sameMailbox } from './values.ts';

/** Carbon copies get the concise form; in doubt a recipient is primary (§3.3.2.1). */
export function formFor(recipient: Mailbox, envelopeHeader: Header, asked: ReceiptForm): ReceiptForm {
  const named = (name: string) => {
    const list = parseAddresses(valuesOf(envelopeHeader, name).join(','));
    return { found: list.mailboxes.some(one => sameMailbox(one, recipient)), sure: list.wellFormed };
  };
  const to = named(field.to);
  const onlyInCopy = named(field.cc).found && !to.found && to.sure;
  return onlyInCopy ? 'sintetica' : asked;
}

/** errore and errore-esteso for a keeper's permanent refusal; clients key on the code (pec.md section 2). */
export function deliveryError(enhanced: string | undefined, provider: string): DeliveryError {
  const row = errors.find(({ codes }) => codes.includes(enhanced ?? ''));
  const { errore, code, text } = row ?? {
    errore: 'altro',
    code: permanent(enhanced),
    text: 'errore di consegna',
  };
  return { errore, extended: `${code} - ${provider} - ${text}` };
}

interface ErrorRow extends Pick<DeliveryError, 'errore'> {
  /** The keeper's enhanced codes that mean this. */
  readonly codes: readonly string[];
  readonly code: string;
  readonly text: string;
}

const errors: readonly ErrorRow[] = [
  {
    codes: ['5.1.0', '5.1.1', '5.1.3', '5.1.6'],
    errore: 'no-dest',
    code: '5.1.1',
    text: 'indirizzo non valido',
  },
  { codes: ['5.1.2', '5.1.10', '5.4.4'], errore: 'no-dominio', code: '5.1.2', text: 'dominio non valido' },
  { codes: ['5.2.0', '5.2.1'], errore: 'altro', code: '5.2.1', text: 'casella non attiva' },
  { codes: ['5.2.2'], errore: 'altro', code: '5.2.2', text: 'casella piena' },
];

/** errore and errore-esteso of a message that lay idle too long (§2.2.2). */
export function idleError(provider: string): DeliveryError {
  return { errore: 'altro', extended: `5.4.7 - ${provider} - tempo massimo di giacenza superato` };
}

/** errore and errore-esteso where a scanner found a virus (§3.1.3, §3.2.3, §3.2.4). */
export function virusError(virus: string, provider: string): DeliveryError {
  const name = virus.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
  return {
    errore: 'virus',
    virus: name,
    extended: `5.5.1 - ${provider} - presenza di un virus nel messaggio: ${name}`,
  };
}

/** The virus that an errore-esteso names, ours or another provider's; the whole of it where it names none. */
export function virusNamed(extended = ''): string {
  return /presenza di un virus nel messaggio: (.+)$/.exec(extended)?.[1] ?? extended;
}

/** Codes that say something else in PEC: the notices of time and virus. */
const reserved = ['5.4.1', '5.4.7', '5.5.1'];

function permanent(enhanced = ''): string {
  const known = /^5\.\d{1,3}\.\d{1,3}$/.test(enhanced) && !reserved.includes(enhanced);
  return known ? enhanced : '5.0.0';
}
