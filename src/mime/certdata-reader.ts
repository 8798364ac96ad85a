// daticert.xml as other providers write it: tolerant in form, strict in meaning. RFC 6109 §4.4
import { type CertificationData, certificationKinds } from '../pec/certification-data.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import {
  type Instant,
  type Mailbox,
  parseLegalTime,
  parseMailbox,
  parseMsgid,
  parsePecMsgid,
} from '../pec/values.ts';
import { parseXml, type XmlElement, XmlError } from './xml.ts';

/** The document certifies nothing that we could rely on; `message` says why, in plain English. */
export class CertificationDataError extends Error {}

const SIZE_LIMIT = 1024 * 1024;
const errors = ['no-dest', 'no-dominio', 'virus', 'altro'] as const;
const forms = ['completa', 'breve', 'sintetica'] as const;
const recipientKinds = ['certificato', 'esterno'] as const;

/**
 * Needs one mittente, one destinatari or more, one data and one identificativo; every mailbox must be one. Elements
 * may come in any order; unknown ones, and a msgid that is none, are dropped. Throws a CertificationDataError.
 */
export function readCertificationData(xml: Buffer): CertificationData {
  if (xml.length > SIZE_LIMIT) throw new CertificationDataError(`more than ${SIZE_LIMIT} bytes`);
  const root = rootOf(decodedText(xml));
  if (root.name !== 'postacert') throw new CertificationDataError('the root element is not postacert');
  const heading = single(root, 'intestazione');
  const data = single(root, 'dati');
  const errore = attribute(root, 'errore', ['nessuno', ...errors], 'nessuno');
  const receipt = optional(data, 'ricevuta');
  const consegna = optional(data, 'consegna');
  const extended = optional(data, 'errore-esteso');
  return {
    tipo: attribute(root, 'tipo', certificationKinds),
    ...(errore !== 'nessuno' && { errore }),
    about: factsOf(heading, data),
    provider: textOf(optional(data, 'gestore-emittente')),
    at: instantOf(single(data, 'data')),
    ...(receipt !== undefined && { ricevuta: attribute(receipt, 'tipo', forms) }),
    ...(consegna !== undefined && { consegna: mailboxOf(consegna) }),
    ricezione: all(data, 'ricezione').map(mailboxOf),
    ...(extended !== undefined && { extended: textOf(extended) }),
  };
}

function factsOf(heading: XmlElement, data: XmlElement): MessageFacts {
  const pecMsgid = parsePecMsgid(textOf(single(data, 'identificativo')));
  if (pecMsgid === undefined) throw new CertificationDataError('identificativo is not a message identifier');
  const recipients = all(heading, 'destinatari').map(element => ({
    address: mailboxOf(element),
    kind: attribute(element, 'tipo', recipientKinds, 'certificato'),
  }));
  if (recipients.length === 0) throw new CertificationDataError('no destinatari');
  const msgid = parseMsgid(textOf(optional(data, 'msgid')));
  const subject = optional(heading, 'oggetto');
  return {
    pecMsgid,
    ...(msgid !== undefined && { msgid }),
    sender: mailboxOf(single(heading, 'mittente')),
    recipients,
    replyTo: textOf(optional(heading, 'risposte')),
    ...(subject !== undefined && { subject: textOf(subject) }),
  };
}

function rootOf(text: string): XmlElement {
  try {
    return parseXml(text);
  } catch (trouble) {
    if (!(trouble instanceof XmlError)) throw trouble;
    throw new CertificationDataError(`the XML has ${trouble.message}`, { cause: trouble });
  }
}

/** UTF-8 unless the document declares ISO-8859-1; US-ASCII is both. */
function decodedText(xml: Buffer): string {
  const [, declared = 'UTF-8'] =
    /^<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([^"']{1,40})["']/.exec(xml.toString('latin1', 0, 300)) ?? [];
  if (/^(?:iso-8859-1|latin1)$/i.test(declared)) return xml.toString('latin1');
  if (!/^(?:utf-?8|us-ascii|ascii)$/i.test(declared)) {
    throw new CertificationDataError('the XML is in an encoding that is not read here');
  }
  try {
    // Also takes away a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(xml);
  } catch (trouble) {
    throw new CertificationDataError('the XML is not in the encoding that it declares', { cause: trouble });
  }
}

function all(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter(child => child.name === name);
}

function optional(parent: XmlElement, name: string): XmlElement | undefined {
  const [first, second] = all(parent, name);
  if (second !== undefined) throw new CertificationDataError(`more than one ${name}`);
  return first;
}

function single(parent: XmlElement, name: string): XmlElement {
  const element = optional(parent, name);
  if (element === undefined) throw new CertificationDataError(`no ${name}`);
  return element;
}

function attribute<Value extends string>(
  element: XmlElement,
  name: string,
  values: readonly Value[],
  missing?: Value,
): Value {
  const given = element.attributes.get(name)?.trim();
  const value = given === undefined ? missing : values.find(one => one === given);
  if (value === undefined) {
    throw new CertificationDataError(
      `${element.name} ${given === undefined ? 'without' : 'with an unknown'} ${name}`,
    );
  }
  return value;
}

/** Layout around a value is not part of it. */
function textOf(element: XmlElement | undefined): string {
  return element?.text.trim() ?? '';
}

function mailboxOf(element: XmlElement): Mailbox {
  const mailbox = parseMailbox(textOf(element));
  if (mailbox === undefined) throw new CertificationDataError(`${element.name} is not a mailbox`);
  return mailbox;
}

function instantOf(element: XmlElement): Instant {
  const at = parseLegalTime({
    date: textOf(single(element, 'giorno')),
    time: textOf(single(element, 'ora')),
    zone: element.attributes.get('zona')?.trim() ?? '',
  });
  if (at === undefined) throw new CertificationDataError('data is not an instant');
  return at;
}
