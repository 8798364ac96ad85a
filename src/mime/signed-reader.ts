// A received message read in one pass while it is spooled: digests of the signed bytes, signature, certification data, place of the original. RFC 1847 §2.1; RFC 6109 §4.3
import { field, parseHeader, valuesOf } from '../pec/header.ts';
import { delimiterReader } from './delimiters.ts';
import {
  blank,
  bodyCollector,
  multipartBoundary,
  type PartForm,
  type PartReader,
  type Problem,
  partReader,
} from './parts.ts';
import { headerCollector } from './read-message.ts';
import { type SignedEntity, signedEntityReader } from './signed-entity.ts';
import { parseStructuredField, structuredField } from './structured-field.ts';

export interface ReceivedMessage {
  /** The raw header block of the whole message, latin1. */
  readonly header: string;
  /** Present only if the message is a well-formed multipart/signed with a PKCS#7 protocol. */
  readonly signed?: SignedStructure;
  /** Why a message that says it is multipart/signed is not well formed. */
  readonly malformed?: string;
}

export interface SignedStructure extends SignedEntity {
  /** DER, as the second part has it. */
  readonly signature: Buffer;
}

/** Sees the bytes of one message as they pass. */
export interface SignedReader {
  /** Throws a HeaderTooBigError, and nothing else whatever the bytes are. */
  push(chunk: Buffer): void;
  /** Once, after the last chunk. Throws a HeaderTooBigError. */
  end(): ReceivedMessage;
}

const SIGNATURE_TYPE = /^application\/(?:x-)?pkcs7-signature$/;
const SIGNATURE_LIMIT = 1024 * 1024;

/** `headerSize` bounds the header of the message, in bytes. Of a message that is not signed nothing but the header is looked at. */
export function signedReader(limits: { readonly headerSize: number }): SignedReader {
  const collector = headerCollector(limits.headerSize);
  let header: string | undefined;
  let body: SignedBody | undefined;
  let malformed: string | undefined;
  const begin = (block: string) => {
    header = block;
    const form = signedForm(block);
    if ('malformed' in form) malformed = form.malformed;
    else if ('boundary' in form) body = signedBody(form.boundary, form.micalg, block.length);
  };
  return {
    push(chunk) {
      if (header !== undefined) {
        body?.push(chunk);
        return;
      }
      const rest = collector.push(chunk);
      if (rest === undefined) return;
      begin(collector.end());
      for (const piece of rest) body?.push(piece);
    },
    end() {
      if (header === undefined) begin(collector.end());
      const outcome = body?.end() ?? { ...(malformed !== undefined && { malformed }) };
      return { header: header ?? '', ...outcome };
    },
  };
}

/** What the top-level header says of the signature: a boundary and a hint, a defect, or nothing. */
function signedForm(
  block: string,
):
  | { readonly boundary: string; readonly micalg: string }
  | { readonly malformed: string }
  | Record<never, never> {
  const header = parseHeader(block);
  const types = valuesOf(header, field.contentType);
  if (!types.some(type => /^(?:\s|\([^()]*\))*multipart\/signed(?![^\s;(])/i.test(type))) return {};
  const type = parseStructuredField(types[0] ?? '');
  if (types.length > 1) return { malformed: 'more than one Content-Type field' };
  if (type === undefined) return { malformed: 'a Content-Type field that cannot be read' };
  if (valuesOf(header, field.mimeVersion).length > 1)
    return { malformed: 'more than one MIME-Version field' };
  const encoding = structuredField(header, field.contentTransferEncoding, '7bit')?.value;
  if (encoding === undefined || !/^(?:7bit|8bit|binary)$/.test(encoding)) {
    return { malformed: 'a transfer encoding that a multipart cannot have' };
  }
  const protocol = type.parameters.get('protocol')?.trim().toLowerCase();
  if (protocol === undefined) return { malformed: 'no protocol parameter' };
  if (!SIGNATURE_TYPE.test(protocol)) return {};
  const boundary = multipartBoundary(type);
  if (boundary === undefined) return { malformed: 'no usable boundary' };
  return { boundary, micalg: type.parameters.get('micalg') ?? '' };
}

interface SignedBody {
  push(chunk: Buffer): void;
  end(): { readonly signed: SignedStructure } | { readonly malformed: string };
}

function signedBody(boundary: string, micalg: string, offset: number): SignedBody {
  let parts = 0;
  let closed = false;
  let trailing = false;
  let reader: ReturnType<typeof signedEntityReader> | undefined;
  let entity: SignedEntity | undefined;
  let form: PartForm | Problem | undefined;
  let second: PartReader | undefined;
  const signature = bodyCollector(SIGNATURE_LIMIT);

  const delimiters = delimiterReader(boundary, offset, {
    data(bytes) {
      if (closed) trailing ||= !blank(bytes);
      else if (parts === 1) reader?.push(bytes);
      else if (parts === 2) second?.push(bytes);
    },
    delimiter(kind, start, end) {
      if (parts === 1) entity = reader?.end(start);
      if (kind === 'closing') closed = true;
      else parts += 1;
      if (kind === 'next' && parts === 1) reader = signedEntityReader(micalg, end);
      if (kind === 'next' && parts === 2) {
        second = partReader(end, { opened: found => (form = found), body: signature.push });
      }
    },
  });
  return {
    push: delimiters.push,
    end() {
      delimiters.end();
      second?.end();
      if (parts !== 2 || entity === undefined || form === undefined) {
        return { malformed: `number of parts is ${parts}, not 2` };
      }
      if ('problem' in form) return { malformed: `the signature part has ${form.problem}` };
      if (!SIGNATURE_TYPE.test(form.type.value))
        return { malformed: 'the second part is no PKCS#7 signature' };
      if (form.encoding !== 'base64') return { malformed: 'the signature is not in base64' };
      const der = signature.content(form.encoding);
      if ('problem' in der) return { malformed: `the signature has ${der.problem}` };
      const problems = [
        ...entity.problems,
        ...(closed ? [] : ['no closing delimiter after the signature']),
        ...(trailing ? ['text after the signature'] : []),
      ];
      return { signed: { ...entity, signature: der, problems } };
    },
  };
}
