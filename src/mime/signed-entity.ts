// The first part of a received multipart/signed: digests of its exact bytes, certification data, place of the original. RFC 1847 §2.1; RFC 6109 §4.3
import { createHash } from 'node:crypto';
import { delimiterReader } from './delimiters.ts';
import {
  blank,
  bodyCollector,
  multipartBoundary,
  type PartForm,
  partReader,
  withoutLineEnd,
} from './parts.ts';

export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export interface SignedEntity {
  /** Of the entity's exact bytes: always SHA-1 and SHA-256, and the longer ones unless micalg names one of these two. */
  readonly digests: ReadonlyMap<DigestName, Buffer>;
  /** The decoded bytes of daticert.xml. */
  readonly certificationData?: Buffer;
  /** The body of postacert.eml, as offsets in the whole message: from `start` up to, not including, `end`. */
  readonly original?: { readonly start: number; readonly end: number; readonly encoding: string };
  /** What is out of order, in plain English. */
  readonly problems: readonly string[];
}

const CERTIFICATION_LIMIT = 1024 * 1024;
const PART_LIMIT = 100;
const CERTIFICATION_NAMES = ['daticert.xml', 'certdata.xml'];
const ORIGINAL_NAME = 'postacert.eml';
const IDENTITY = /^(?:7bit|8bit|binary)$/;

/** Push the bytes of the part from the CRLF that ended the delimiter line, which is at `offset` in the message. */
export function signedEntityReader(
  micalg: string,
  offset: number,
): { push(bytes: Buffer): void; end(at: number): SignedEntity } {
  const names: readonly DigestName[] = ['sha1', 'sha256', ...longDigests(micalg)];
  const hashes = names.map(name => [name, createHash(name)] as const);
  const digest = withoutLineEnd(bytes => {
    for (const [, hash] of hashes) hash.update(bytes);
  });
  const problems: string[] = [];
  let children: ReturnType<typeof childrenReader> | undefined;
  const part = partReader(offset, {
    opened(form, at) {
      const boundary = 'problem' in form ? undefined : multipartBoundary(form.type);
      if ('problem' in form) problems.push(`the signed part has ${form.problem}`);
      else if (form.type.value !== 'multipart/mixed') problems.push('the signed part is not multipart/mixed');
      else if (!IDENTITY.test(form.encoding)) problems.push(`the signed part is encoded in ${form.encoding}`);
      else if (boundary === undefined) problems.push('the signed part has no usable boundary');
      else children = childrenReader(boundary, at - 2, problems);
    },
    body: bytes => children?.push(bytes),
  });
  return {
    push(bytes) {
      digest(bytes);
      part.push(bytes);
    },
    end(at) {
      part.end();
      const found = children?.end(at);
      return { digests: new Map(hashes.map(([name, hash]) => [name, hash.digest()])), ...found, problems };
    },
  };
}

/** The digest is the signature's to say; micalg only spares the work where it names what everybody uses. */
function longDigests(micalg: string): readonly DigestName[] {
  return /^\s*sha-?(?:1|256)\s*$/i.test(micalg) ? [] : ['sha384', 'sha512'];
}

interface Child {
  push(bytes: Buffer): void;
  /** `at` is the offset at which the part ends. */
  end(at: number): void;
}

type Found = Omit<SignedEntity, 'digests' | 'problems'>;

function childrenReader(
  boundary: string,
  offset: number,
  problems: string[],
): { push(bytes: Buffer): void; end(at: number): Found } {
  const found: { -readonly [Key in keyof Found]: Found[Key] } = {};
  const seen = new Set<string>();
  let child: Child | undefined;
  let count = 0;
  let closed = false;
  let trailing = false;

  const certificationData = (form: PartForm): Child => {
    const body = bodyCollector(CERTIFICATION_LIMIT);
    return {
      push: body.push,
      end() {
        const content = body.content(form.encoding);
        if (Buffer.isBuffer(content)) found.certificationData = content;
        else problems.push(`daticert.xml has ${content.problem}`);
      },
    };
  };
  const original = ({ type, encoding }: PartForm, start: number): Child => {
    if (type.value !== 'message/rfc822') problems.push('postacert.eml is not message/rfc822');
    if (!IDENTITY.test(encoding)) problems.push(`postacert.eml is encoded in ${encoding}`);
    return {
      push() {},
      end(at) {
        found.original = { start: Math.min(start, at), end: at, encoding };
      },
    };
  };
  const contentOf = (form: PartForm, at: number): Child | undefined => {
    const name = form.names.find(one => one === ORIGINAL_NAME || CERTIFICATION_NAMES.includes(one));
    if (name === undefined) return undefined;
    const role = name === ORIGINAL_NAME ? ORIGINAL_NAME : 'daticert.xml';
    if (seen.has(role)) {
      problems.push(`more than one ${role}`);
      return undefined;
    }
    seen.add(role);
    return role === ORIGINAL_NAME ? original(form, at) : certificationData(form);
  };
  const begin = (start: number): Child => {
    let content: Child | undefined;
    const part = partReader(start, {
      opened(form, at) {
        if ('problem' in form) problems.push(`a part has ${form.problem}`);
        else content = contentOf(form, at);
      },
      body: bytes => content?.push(bytes),
    });
    return {
      push: part.push,
      end(at) {
        part.end();
        content?.end(at);
      },
    };
  };

  const reader = delimiterReader(boundary, offset, {
    data(bytes) {
      if (closed) trailing ||= !blank(bytes);
      else child?.push(bytes);
    },
    delimiter(kind, start, end) {
      child?.end(start);
      child = undefined;
      if (kind === 'closing') closed = true;
      else if (++count <= PART_LIMIT) child = begin(end);
    },
  });
  return {
    push: reader.push,
    end(at) {
      reader.end();
      child?.end(at);
      if (!closed) problems.push('no closing delimiter in the signed part');
      if (trailing) problems.push('text after the last part');
      if (count > PART_LIMIT) problems.push(`more than ${PART_LIMIT} parts`);
      return found;
    },
  };
}
