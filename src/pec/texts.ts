// Every Italian sentence a user reads: plain text, its HTML twin, the reasons of anomalies. RFC 6109 §3, §4.2, §4.3.1; pec.md section 2
import { escapeXml } from './certification-data.ts';
import type { FormalFaultName } from './reasons.ts';
import type { MessageFacts, Receipt, Recipient } from './receipts.ts';
import { type Instant, legalTime, type Mailbox } from './values.ts';

/** A title and its lines, from which both forms of the text are made. */
interface Readable {
  readonly title: string;
  readonly lines: readonly string[];
}

export function receiptText(owed: Receipt): Readable {
  const { about, at } = owed;
  const from = `${quoted(about.subject)} proveniente da "${about.sender}"`;
  switch (owed.kind) {
    case 'accettazione':
      return {
        title: 'Ricevuta di accettazione',
        lines: [
          `${on(at)} il messaggio`,
          from,
          'ed indirizzato a:',
          ...about.recipients.map(withKind),
          'è stato accettato dal sistema ed inoltrato.',
          identifier(about),
        ],
      };
    case 'non-accettazione': {
      const virus = owed.error.errore === 'virus';
      return {
        title: `Errore nell'accettazione del messaggio${virus ? ' per presenza di virus' : ''}`,
        lines: [
          `${on(at)} nel messaggio`,
          from,
          'ed indirizzato a:',
          ...about.recipients.map(({ address }) => address),
          ...(virus
            ? [`è stato rilevato un problema di sicurezza ${owed.why}.`]
            : ["è stato rilevato un problema che ne impedisce l'accettazione", `a causa di ${owed.why}.`]),
          'Il messaggio non è stato accettato.',
          identifier(about),
        ],
      };
    }
    case 'presa-in-carico':
      return {
        title: 'Ricevuta di presa in carico',
        lines: [
          `${on(at)} il messaggio`,
          from,
          'ed indirizzato a:',
          ...owed.taken,
          'è stato accettato dal sistema.',
          identifier(about),
        ],
      };
    case 'rilevazione-virus':
      return {
        title: 'Avviso di rilevazione virus informatico',
        lines: [
          `${on(at)} nel messaggio`,
          from,
          `e destinato all'utente "${owed.recipient}"`,
          `è stato rilevato un problema di sicurezza ${owed.error.virus ?? ''}.`,
          identifier(about),
        ],
      };
    case 'avvenuta-consegna':
      return {
        title: {
          completa: 'Ricevuta di avvenuta consegna',
          breve: 'Ricevuta di avvenuta consegna breve',
          sintetica: 'Ricevuta di avvenuta consegna sintetica',
        }[owed.form],
        lines: [
          `${on(at)} il messaggio`,
          from,
          `ed indirizzato a "${owed.recipient}"`,
          'è stato consegnato nella casella di destinazione.',
          identifier(about),
        ],
      };
    case 'errore-consegna': {
      const virus = owed.error.errore === 'virus';
      return {
        title: `Avviso di mancata consegna${virus ? ' per virus' : ''}`,
        lines: [
          `${on(at)} nel messaggio`,
          from,
          `e destinato all'utente "${owed.recipient}"`,
          ...(virus
            ? [
                `è stato rilevato un problema di sicurezza ${owed.error.virus ?? ''}.`,
                'Il messaggio non è stato consegnato.',
              ]
            : [
                `è stato rilevato un errore ${owed.error.extended}.`,
                'Il messaggio è stato rifiutato dal sistema.',
              ]),
          identifier(about),
        ],
      };
    }
    case 'preavviso-errore-consegna':
      return {
        title: 'Avviso di mancata consegna',
        lines: [
          `${on(at)} il messaggio`,
          from,
          `e destinato all'utente "${owed.recipient}"`,
          ...timeout[owed.notice],
          identifier(about),
        ],
      };
  }
}

/** The two timeout notices (§3.1.6). */
const timeout = {
  first: [
    'non è stato consegnato nelle prime dodici ore dal suo invio. Non escludendo',
    "che questo possa avvenire in seguito, si ritiene utile considerare che l'invio",
    'potrebbe non andare a buon fine. Il sistema provvederà comunque ad inviare',
    'un ulteriore avviso di mancata consegna se nelle prossime dodici ore non vi',
    'sarà la conferma della ricezione da parte del destinatario.',
  ],
  second: [
    'non è stato consegnato nelle ventiquattro ore successive al suo invio.',
    'Si ritiene che la spedizione debba considerarsi non andata a buon fine.',
  ],
} as const;

export function transportEnvelopeText(about: MessageFacts, at: Instant): Readable {
  return {
    title: 'Messaggio di posta certificata',
    lines: [
      `${on(at)} il messaggio`,
      `${quoted(about.subject)} è stato inviato da "${about.sender}"`,
      'indirizzato a:',
      ...about.recipients.map(({ address }) => address),
      'Il messaggio originale è incluso in allegato.',
      identifier(about),
    ],
  };
}

export function anomalyText(received: {
  readonly at: Instant;
  readonly subject?: string;
  readonly author: string;
  readonly recipients: readonly Mailbox[];
  readonly reasons: readonly string[];
}): Readable {
  return {
    title: 'Anomalia nel messaggio',
    lines: [
      `${on(received.at)} è stato ricevuto`,
      `il messaggio ${quoted(received.subject)} proveniente da "${received.author}"`,
      'ed indirizzato a:',
      ...received.recipients,
      'Tali dati non sono stati certificati per il seguente errore:',
      ...received.reasons,
      'Il messaggio originale è incluso in allegato.',
    ],
  };
}

/** The reasons that an anomaly envelope can state; several are joined. */
export const anomalies = {
  unsigned: 'il messaggio non è firmato digitalmente',
  notAuthentic: 'Firma non presente o non autentica',
  notCertified: 'dominio mittente non di posta certificata',
  structure: 'struttura del messaggio non conforme',
  marker: 'campo X-Trasporto o X-Ricevuta mancante o ripetuto',
  author: 'campo From mancante o non valido',
  foreignAuthor: 'campo From non del gestore che ha firmato',
  noData: 'daticert.xml mancante',
  badData: 'daticert.xml non valido',
  noOriginal: 'postacert.eml mancante',
  otherKind: 'tipo del messaggio diverso da quello certificato',
  identifier: 'Message-ID diverso da quello certificato',
  foreignSender: 'dominio mittente non del gestore che ha firmato',
  sender: 'mittente diverso da quello certificato',
  recipient: 'destinatario non compreso tra quelli certificati',
} as const;

/** What a formal exception is, in the notice to the user; `{}` stands for the field or address (§3.1.2). */
export const faultsInItalian: Readonly<Record<FormalFaultName | 'tooBig', string>> = {
  noField: "una riga dell'intestazione non valida",
  notAscii: "caratteri non ammessi nell'intestazione",
  twice: 'campo {} presente più di una volta',
  badMessageId: 'campo Message-ID non valido',
  noAuthor: 'campo From mancante o privo di un indirizzo valido',
  severalAuthors: 'più di un autore nel campo From',
  badTo: 'campo To mancante o privo di indirizzi validi',
  otherAuthor: 'mittente {} diverso da quello indicato nel campo From',
  badCc: 'campo Cc con indirizzi non validi',
  hiddenRecipient: 'destinatario {} non presente nei campi To e Cc',
  missingRecipient: 'indirizzo {} presente nei campi To e Cc ma non tra i destinatari',
  bcc: 'campo Bcc valorizzato',
  tooBig: 'dimensione del messaggio per il numero dei destinatari oltre il limite di {} byte',
};

/** The author shown where a message names none. */
export const unknownAuthor = 'mittente sconosciuto';

export function plainText({ title, lines }: Readable): string {
  return `${[title, ...lines].join('\n')}\n`;
}

/** The same data; no reference to anything, no script (§4.3.1). */
export function htmlText({ title, lines }: Readable): string {
  const head = `<html><head><title>${escapeXml(title)}</title></head>`;
  return `${head}\n<body><h3>${escapeXml(title)}</h3>\n<p>${lines.map(escapeXml).join('<br>\n')}</p></body></html>\n`;
}

function on(at: Instant): string {
  const { date, time, zone } = legalTime(at);
  return `Il giorno ${date} alle ore ${time} (${zone})`;
}

function quoted(subject = ''): string {
  return `"${subject.replace(/[\x00-\x1f\x7f]+/g, ' ')}"`;
}

function identifier({ pecMsgid }: MessageFacts): string {
  return `Identificativo messaggio: ${pecMsgid}`;
}

function withKind({ address, kind }: Recipient): string {
  return `${address} ("${kind === 'certificato' ? 'posta certificata' : 'posta ordinaria'}")`;
}
