// Every refusal a peer can hear: code, enhanced status, text. One row each; unknown trouble is temporary. RFC 3463, design "What a peer hears"

export interface Reason {
  readonly code: number;
  /** Enhanced status without its class: `7.1` is written `5.7.1` under a 5xx code and `4.7.1` under a 4xx. */
  readonly detail: string;
  /** `{}` stands for what the case is about: an address, the name of a field. */
  readonly text: string;
}

export const reasons = {
  notAuthenticated: { code: 530, detail: '7.0', text: 'Authentication required' },
  badCredentials: { code: 535, detail: '7.8', text: 'Authentication credentials invalid' },
  notYourAddress: { code: 550, detail: '7.1', text: 'You may not send as {}' },
  nullReversePath: { code: 550, detail: '7.1', text: 'A certified message needs a sender' },
  noRelay: { code: 550, detail: '7.1', text: '<{}>: no mailbox of this provider' },
  badAddress: { code: 553, detail: '1.3', text: '<{}>: not an address that this server understands' },
  twiceTheSame: { code: 450, detail: '5.3', text: '<{}>: given twice, send it in a transaction of its own' },
  tooManyRecipients: { code: 452, detail: '5.3', text: 'Too many recipients: at most {} in one transaction' },
  ordinaryMail: {
    code: 554,
    detail: '7.1',
    text: '<{}>: Messaggio rifiutato dal sistema. Indirizzo destinatario sconosciuto o non abilitato alla ricezione di posta non certificata',
  },
  formalException: { code: 550, detail: '6.0', text: 'Formal exception: {}' },
  tooBig: {
    code: 552,
    detail: '3.4',
    text: 'Formal exception: size times recipients is over the limit of {} bytes',
  },
  messageTooBig: { code: 552, detail: '3.4', text: 'Message over the limit of {} bytes' },
  badBytes: { code: 550, detail: '6.0', text: 'Message refused as it stands: {}' },
  headerTooBig: { code: 550, detail: '6.0', text: 'Header over the limit of {} bytes' },
  virus: { code: 550, detail: '7.0', text: 'Virus found: {}' },
  keeperBusy: { code: 451, detail: '4.1', text: 'The mail server behind us cannot take the message now' },
  shuttingDown: { code: 421, detail: '3.2', text: 'Closing for maintenance, try again' },
  trouble: { code: 451, detail: '3.0', text: 'Temporary trouble, nothing was kept, try again' },
} as const satisfies Record<string, Reason>;

export type ReasonName = keyof typeof reasons;

/** What a formal exception is: the words of the reply (RFC 6109 §3.1.1); `{}` as above. texts.ts has those of the notice. */
export const formalFaults = {
  noField: 'a header line is no field',
  notAscii: 'the header holds bytes outside ASCII',
  twice: '{} is given twice',
  badMessageId: 'Message-ID is no message identifier',
  noAuthor: 'From holds no valid address',
  severalAuthors: 'From names several authors',
  badTo: 'To holds no valid address',
  otherAuthor: 'the envelope sender {} is not the author in From',
  badCc: 'Cc holds something that is no address',
  hiddenRecipient: 'the recipient {} is in neither To nor Cc',
  missingRecipient: '{} is in To or Cc, but is no recipient',
  bcc: 'Bcc holds a value',
} as const;

export type FormalFaultName = keyof typeof formalFaults;

/** The enhanced status in full: its class is the first digit of the code, never written by hand. */
export function enhancedStatus({ code, detail }: Pick<Reason, 'code' | 'detail'>): string {
  return `${Math.floor(code / 100)}.${detail}`;
}

/** One SMTP reply line without its code: `5.7.1 text`; control and non-ASCII characters of `about` do not reach the wire. */
export function replyText(reason: Reason, about = ''): string {
  const plain = about.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 400);
  return `${enhancedStatus(reason)} ${reason.text.replace('{}', () => plain)}`;
}
