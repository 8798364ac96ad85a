// A bounce read as it passes: whom the message did not reach, why, and which message it was. RFC 6522, RFC 3464, RFC 6533
import { field, firstOf, parseHeader } from '../pec/header.ts';
import { type Mailbox, parseMailbox } from '../pec/values.ts';
import { keptBytes } from './bytes.ts';
import { delimiterReader } from './delimiters.ts';
import { multipartBoundary, type PartForm, type PartReader, partReader, withoutLineEnd } from './parts.ts';
import { HeaderTooBigError, headerCollector } from './read-message.ts';
import { structuredField } from './structured-field.ts';
import { decoded } from './transfer-encoding.ts';

/** What a delivery status notification says. */
export interface DeliveryStatus {
  /** Of the message that was returned, as it stands there, brackets included. */
  readonly messageId?: string;
  /** At least one. */
  readonly recipients: readonly RecipientStatus[];
}

export interface RecipientStatus {
  readonly recipient: Mailbox;
  /** In lower case: `failed`, `delayed`, `delivered`, `relayed`, `expanded`. */
  readonly action: string;
  /** `5.1.1` */
  readonly status: string;
}

/** Sees the bytes of one message as they pass; throws nothing, whatever they are. */
export interface DsnReader {
  push(chunk: Buffer): void;
  /** Once, after the last chunk. Undefined if the message is no delivery status notification that names a recipient. */
  end(): DeliveryStatus | undefined;
}

/** Of the header, and of the beginning of each part that is looked at, in bytes. */
const LIMIT = 64 * 1024;
const STATUS_TYPE = /^message\/(?:global-)?delivery-status$/;
const RETURNED_TYPE = /^(?:message\/(?:rfc822|global)|(?:text|message)\/(?:rfc822|global)-headers)$/;

export function dsnReader(): DsnReader {
  const collector = headerCollector(LIMIT);
  let reading: 'header' | 'nothing' | DsnReader = 'header';
  const headerRest = (chunk: Buffer): readonly Buffer[] | undefined => {
    try {
      return collector.push(chunk);
    } catch (trouble) {
      if (!(trouble instanceof HeaderTooBigError)) throw trouble;
      reading = 'nothing';
      return undefined;
    }
  };
  return {
    push(chunk) {
      if (reading === 'nothing') return;
      if (reading !== 'header') {
        reading.push(chunk);
        return;
      }
      const rest = headerRest(chunk);
      if (rest === undefined) return;
      const boundary = reportBoundary(collector.end());
      if (boundary === undefined) {
        reading = 'nothing';
        return;
      }
      const body = reportBody(boundary);
      for (const piece of rest) body.push(piece);
      reading = body;
    },
    end: () => (typeof reading === 'string' ? undefined : reading.end()),
  };
}

function reportBoundary(block: string): string | undefined {
  const type = structuredField(parseHeader(block), field.contentType, 'text/plain');
  const isReport =
    type?.value === 'multipart/report' &&
    type.parameters.get('report-type')?.trim().toLowerCase() === 'delivery-status';
  return isReport ? multipartBoundary(type) : undefined;
}

function reportBody(boundary: string): DsnReader {
  let part: PartReader | undefined;
  let status: Beginning | undefined;
  let returned: Beginning | undefined;
  const wanted = (form: PartForm): Beginning | undefined => {
    if (STATUS_TYPE.test(form.type.value) && status === undefined) {
      status = beginning(form.encoding);
      return status;
    }
    if (RETURNED_TYPE.test(form.type.value) && returned === undefined) {
      returned = beginning(form.encoding);
      return returned;
    }
    return undefined;
  };
  const begin = (offset: number): PartReader => {
    let content: Beginning | undefined;
    return partReader(offset, {
      opened: form => {
        if (!('problem' in form)) content = wanted(form);
      },
      body: bytes => content?.push(bytes),
    });
  };
  const delimiters = delimiterReader(boundary, 0, {
    data: bytes => part?.push(bytes),
    delimiter(kind, _start, end) {
      part?.end();
      part = kind === 'next' ? begin(end) : undefined;
    },
  });
  return {
    push: delimiters.push,
    end() {
      delimiters.end();
      part?.end();
      const recipients = status === undefined ? [] : recipientsOf(status.blocks());
      const [block] = returned?.blocks() ?? [];
      const messageId = block && firstOf(parseHeader(`${block}\r\n`), field.messageId);
      return recipients.length === 0 ? undefined : { ...(messageId && { messageId }), recipients };
    },
  };
}

/** The beginning of a body. */
interface Beginning {
  /** As a PartSink hears it. */
  push(bytes: Buffer): void;
  /** What lies between blank lines, decoded, one character per byte; without a block that was cut off. */
  blocks(): readonly string[];
}

function beginning(encoding: string): Beginning {
  const kept = keptBytes();
  let isWhole = true;
  return {
    push: withoutLineEnd(bytes => {
      const room = LIMIT - kept.view().length;
      if (bytes.length > room) isWhole = false;
      kept.append(bytes.subarray(0, room));
    }),
    blocks() {
      // Encoded text may have line ends of any kind.
      const text = decoded(kept.view(), encoding)?.toString('latin1').replace(/\r?\n/g, '\r\n') ?? '';
      const blocks = text.split(/(?:\r\n[ \t]*){2,}/);
      return isWhole ? blocks : blocks.slice(0, -1);
    },
  };
}

/** One block per recipient, after one for the message (RFC 3464 §2). What a block lacks, nobody can guess: it is passed over. */
function recipientsOf(blocks: readonly string[]): readonly RecipientStatus[] {
  return blocks.flatMap(block => {
    const fields = parseHeader(`${block}\r\n`);
    const recipient =
      addressOf(firstOf(fields, 'Final-Recipient')) ?? addressOf(firstOf(fields, 'Original-Recipient'));
    const action = /^[a-z]+/i.exec(firstOf(fields, 'Action') ?? '')?.[0].toLowerCase();
    const status = /^[245]\.\d{1,3}\.\d{1,3}(?!\d)/.exec(firstOf(fields, 'Status') ?? '')?.[0];
    return recipient === undefined || action === undefined || status === undefined
      ? []
      : [{ recipient, action, status }];
  });
}

/** `rfc822; anna@pec.alfa.example`; Exchange and others put brackets around the address. */
function addressOf(value = ''): Mailbox | undefined {
  const [, address = ''] = /^(?:rfc822|utf-8)[ \t]*;(.*)$/i.exec(value) ?? [];
  return parseMailbox(address.trim().replace(/^<(.*)>$/, '$1'));
}
