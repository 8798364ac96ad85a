// The original in a brief delivery receipt: attachments give way to their hashes. RFC 6109 §3.3.2.2
import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type MimeNode, Splitter } from 'mailsplit';
import { buildHeaderValue } from 'nodemailer/lib/mime-funcs';
import { field, parseHeader } from '../pec/header.ts';
import { batched, concatenated } from './bytes.ts';
import { readMessage } from './read-message.ts';
import { structuredField } from './structured-field.ts';

const HEADER_LIMIT = 1024 * 1024;
const NAME_LIMIT = 200;
const CRLF = Buffer.from('\r\n');

/**
 * The message with every named part, and every message/rfc822 part, replaced by a text/plain part `NAME.hash`: the 40
 * hex digits of the SHA-1 of its content. Multiparts keep their structure whatever their names; the signature part of
 * a multipart/signed message stays; a message that is one CMS object stays as it is.
 *
 * `decoded` hashes what a user saves as a file (pec.md section 1), `encoded` the body as it was sent, without the
 * CRLF that belongs to the delimiter. Lost is the header of a part that ends before its blank line. Throws an Error with the code EMAXLEN at more than 1,000 parts or a part header
 * of more than 1 MiB, a HeaderTooBigError if it is the message's own.
 */
export async function* briefOriginal(
  original: AsyncIterable<Buffer>,
  hashOf: 'decoded' | 'encoded' = 'decoded',
): AsyncGenerator<Buffer, void> {
  const { header, rest } = await readMessage(original, HEADER_LIMIT);
  const whole = concatenated(Buffer.from(header, 'latin1'), rest);
  const type = structuredField(parseHeader(header), field.contentType, 'text/plain')?.value ?? '';
  if (/^application\/(?:x-)?pkcs7-mime$/.test(type)) yield* whole;
  else yield* batched(withHashes(whole, hashOf));
}

async function* withHashes(
  message: AsyncIterable<Buffer>,
  hashOf: 'decoded' | 'encoded',
): AsyncGenerator<Buffer, void> {
  const splitter = new Splitter({ ignoreEmbedded: true });
  // What goes wrong in the source destroys the splitter, and is thrown below.
  pipeline(Readable.from(message), splitter, () => {});
  let hashing: PartHash | undefined;
  let children = 0;
  for await (const item of splitter as AsyncIterable<SplitterItem>) {
    if (item.type === 'body' && hashing !== undefined) {
      await hashing.update(item.value);
      continue;
    }
    if (hashing !== undefined) {
      yield await hashing.text();
      // An empty body shares the blank line's CRLF with the delimiter; its hash does not.
      if (item.type === 'data' && item.value[0] !== CRLF[0]) yield CRLF;
      hashing = undefined;
    }
    if (item.type !== 'node') {
      yield item.value;
      continue;
    }
    if (item.parentNode !== false && item.parentNode.root) children += 1;
    if (isAttachment(item) && !isSignature(item, children)) {
      hashing = partHash(item, hashOf);
      rename(item);
    }
    yield item.getHeaders();
  }
  if (hashing !== undefined) {
    yield await hashing.text();
    yield CRLF;
  }
}

type SplitterItem = MimeNode | { readonly type: 'data' | 'body'; readonly value: Buffer };

function isAttachment({ multipart, rfc822, filename }: MimeNode): boolean {
  return !multipart && (rfc822 || Boolean(filename));
}

/** The second part of the message, which is multipart/signed; `children` counts its parts so far. */
function isSignature({ parentNode }: MimeNode, children: number): boolean {
  return parentNode !== false && parentNode.root && parentNode.multipart === 'signed' && children === 2;
}

/** Makes the header of a part that of its hash. */
function rename({ headers, filename }: MimeNode): void {
  if (!headers) return;
  const plain = (filename || 'messaggio.eml').replace(/[\x00-\x1f\x7f]/g, ' ');
  const name = `${plain.slice(0, NAME_LIMIT).toWellFormed()}.hash`;
  const fields = {
    [field.contentType]: buildHeaderValue({ value: 'text/plain', params: { name } }),
    [field.contentTransferEncoding]: '7bit',
    [field.contentDisposition]: buildHeaderValue({ value: 'attachment', params: { filename: name } }),
  };
  for (const [key, value] of Object.entries(fields)) {
    headers.remove(key);
    headers.add(key, value, Number.POSITIVE_INFINITY);
  }
}

interface PartHash {
  update(bytes: Buffer): Promise<void>;
  /** 40 hex digits. Once, at the end. */
  text(): Promise<Buffer>;
}

function partHash(node: MimeNode, hashOf: 'decoded' | 'encoded'): PartHash {
  const hash = createHash('sha1');
  const digest = () => Buffer.from(hash.digest('hex'), 'latin1');
  if (hashOf === 'encoded') {
    return {
      async update(bytes) {
        hash.update(bytes);
      },
      text: async () => digest(),
    };
  }
  const decoder = node.getDecoder().on('data', (bytes: Buffer) => hash.update(bytes));
  const decoded = finished(decoder);
  return {
    update: bytes =>
      new Promise((resolve, reject) => {
        decoder.write(bytes, trouble => (trouble ? reject(trouble) : resolve()));
      }),
    async text() {
      decoder.end();
      await decoded;
      return digest();
    },
  };
}
