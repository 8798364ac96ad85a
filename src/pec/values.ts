// The values that everything else speaks of: parsed once, compared in one way, written in one way. RFC 6109 §1.2.3
declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** `local@domain`: the domain in lower case (A-labels), the local part as it was written. */
export type Mailbox = Branded<string, 'Mailbox'>;
/** A DNS domain in lower case, without a final dot. */
export type Domain = Branded<string, 'Domain'>;
/** The client's own Message-ID, with its angle brackets (§1.2.3 "msgid"). */
export type Msgid = Branded<string, 'Msgid'>;
/** The identifier the PEC system gives a message, without angle brackets (§2.2.1 "PEC msgid"). */
export type PecMsgid = Branded<string, 'PecMsgid'>;
/** Milliseconds since 1970, always a whole second: the only precision that PEC messages can state. */
export type Instant = Branded<number, 'Instant'>;

/** The routing data of one SMTP transaction; `from` is null for the null reverse path. */
export interface SmtpEnvelope {
  readonly from: Mailbox | null;
  readonly to: readonly Mailbox[];
}

const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const DOT_ATOM = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`);
const QUOTED_LOCAL = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"$/;
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})+$`);

/** The mailbox that `text` (an addr-spec, no angle brackets) names, or undefined. RFC 5321 §4.1.2 and its length limits. */
export function parseMailbox(text: string): Mailbox | undefined {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, at);
  const domain = parseDomain(text.slice(at + 1));
  if (at < 1 || local.length > 64 || text.length > 254 || domain === undefined) return undefined;
  if (!DOT_ATOM.test(local) && !QUOTED_LOCAL.test(local)) return undefined;
  return `${local}@${domain}` as Mailbox;
}

/** The domain that `text` names, in lower case, or undefined. Address literals and single labels are no domains here. */
export function parseDomain(text: string): Domain | undefined {
  return text.length <= 253 && DOMAIN.test(text) ? (text.toLowerCase() as Domain) : undefined;
}

export function domainOf(mailbox: Mailbox): Domain {
  return mailbox.slice(mailbox.lastIndexOf('@') + 1) as Domain;
}

/** What two spellings of one mailbox have in common: PEC compares without regard to case (§2.2.1). */
export function mailboxKey(mailbox: Mailbox): string {
  return mailbox.toLowerCase();
}

export function sameMailbox(a: Mailbox, b: Mailbox): boolean {
  return mailboxKey(a) === mailboxKey(b);
}

/** A Message-ID as it stands in a header field, brackets included, or undefined if it is none (RFC 5322 §3.6.4, read tolerantly). */
export function parseMsgid(text: string): Msgid | undefined {
  const id = text.trim();
  return /^<[^<>\s\x00-\x20\x7f-\uffff]{1,900}>$/.test(id) ? (id as Msgid) : undefined;
}

/** The identifier of a transport envelope, with or without angle brackets, or undefined if it is none. */
export function parsePecMsgid(text: string): PecMsgid | undefined {
  const id = parseMsgid(text.trim().replace(/^<?/, '<').replace(/>?$/, '>'));
  return id === undefined ? undefined : (id.slice(1, -1) as PecMsgid);
}

/** The second that `milliseconds` since 1970 falls in. */
export function instant(milliseconds: number): Instant {
  return (Math.floor(milliseconds / 1000) * 1000) as Instant;
}

/** An instant in the legal time of Italy, as the texts, the XML and the Date field state it (§4.2; daticert `data`). */
export interface LegalTime {
  /** dd/mm/yyyy */
  readonly date: string;
  /** hh:mm:ss */
  readonly time: string;
  /** +hhmm */
  readonly zone: string;
}

const ROME = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/Rome',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

export function legalTime(at: Instant): LegalTime {
  const part = Object.fromEntries(ROME.formatToParts(at).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second } = part as Record<string, string>;
  const wall = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const offset = (wall - at) / 60_000;
  const digits = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const zone = `${offset < 0 ? '-' : '+'}${digits(Math.abs(offset) / 60)}${digits(Math.abs(offset) % 60)}`;
  return { date: `${day}/${month}/${year}`, time: `${hour}:${minute}:${second}`, zone };
}

/** The value of a Date field (RFC 5322 §3.3), in the legal time of Italy. */
export function dateField(at: Instant): string {
  const { date, time, zone } = legalTime(at);
  const [day, month, year] = date.split('/').map(Number) as [number, number, number];
  const weekday = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][
    new Date(Date.UTC(year, month - 1, day)).getUTCDay()
  ];
  const names = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  return `${weekday}, ${String(day).padStart(2, '0')} ${names[month - 1]} ${year} ${time} ${zone}`;
}

/** The instant that a certification data `data` element states, or undefined if it is none. */
export function parseLegalTime({ date, time, zone }: LegalTime): Instant | undefined {
  const [, day, month, year] = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(date) ?? [];
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [];
  if (day === undefined || sign === undefined || !/^\d\d:\d\d:\d\d$/.test(time)) return undefined;
  const at = Date.parse(`${year}-${month}-${day}T${time}${sign}${hours}:${minutes}`);
  return Number.isNaN(at) ? undefined : instant(at);
}
