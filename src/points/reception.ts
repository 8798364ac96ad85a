// What both receiving doors begin with: spool and hash in one pass, verify the signature, classify. RFC 6109 §2.2.2
import { createHash } from 'node:crypto';
import { BadBytesError, checkedBytes } from '../mime/bytes.ts';
import { CertificationDataError, readCertificationData } from '../mime/certdata-reader.ts';
import { type DeliveryStatus, dsnReader } from '../mime/dsn-reader.ts';
import { HeaderTooBigError, readMessage } from '../mime/read-message.ts';
import { type ReceivedMessage, type SignedStructure, signedReader } from '../mime/signed-reader.ts';
import { classify, type Evidence, type ReceivedClass, type SignatureEvidence } from '../pec/admission.ts';
import type { CertificationData } from '../pec/certification-data.ts';
import { statedFacts } from '../pec/compose.ts';
import { type Header, parseHeader } from '../pec/header.ts';
import { type Instant, parseMailbox, type SmtpEnvelope } from '../pec/values.ts';
import { checkPath } from '../smime/certificate-path.ts';
import { rfc822Names } from '../smime/sign.ts';
import { readSignature, SignatureError, verifySignature } from '../smime/verify.ts';
import { type JournalLine, Refusal } from './custody.ts';
import type { Spool, Spooled, Trust } from './ports.ts';

export interface Reception {
  readonly spooled: Spooled;
  readonly header: Header;
  readonly class: ReceivedClass;
  /** Where the original lies in the spooled file, if the message is a well-formed PEC message that carries one. */
  readonly original?: SignedStructure['original'];
  /** What a bounce says of the message that it returns. */
  readonly bounce?: DeliveryStatus;
}

/** Takes a message to the spool and says what it is at the instant `at`. The caller disposes `spooled`. */
export async function receive(
  world: { readonly spool: Spool; readonly trust: Trust },
  envelope: SmtpEnvelope,
  bytes: AsyncIterable<Buffer>,
  at: Instant,
  headerSize: number,
): Promise<Reception> {
  const reader = signedReader({ headerSize });
  // Only the null reverse path sends bounces (RFC 5321 §4.5.5).
  const report = envelope.from === null ? dsnReader() : undefined;
  const tap = (chunk: Buffer) => {
    reader.push(chunk);
    report?.push(chunk);
  };
  const spooled = await world.spool.take(checkedBytes(bytes), tap).catch((trouble: unknown) => {
    throw refusalOf(trouble, headerSize);
  });
  try {
    const message = reader.end();
    const evidence = gather(message, world.trust, at);
    const bounce = report?.end();
    return {
      spooled,
      header: evidence.header,
      class: classify(evidence, envelope, world.trust.directory),
      ...(message.signed?.original && { original: message.signed.original }),
      ...(bounce && { bounce }),
    };
  } catch (trouble) {
    await spooled[Symbol.asyncDispose]();
    throw trouble;
  }
}

/** What the journal says of a received message: the certified data if there are any, else its own header. */
export function statedBy({ class: received, header }: Reception): Partial<JournalLine> {
  const certified = 'certification' in received ? received.certification.about : undefined;
  const { msgid, subject } = certified ?? statedFacts(header);
  return {
    ...(certified && { pecMsgid: certified.pecMsgid }),
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject }),
    ...('provider' in received && { provider: received.provider.name }),
  };
}

/** Reads a message whose bytes are refused if they are not as SMTP wants them, in the header and to the last one. */
export async function readConforming(
  bytes: AsyncIterable<Buffer>,
  headerSize: number,
): Promise<{ readonly header: string; readonly rest: AsyncIterable<Buffer> }> {
  const refused = async function* (rest: AsyncIterable<Buffer>) {
    try {
      yield* rest;
    } catch (trouble) {
      throw refusalOf(trouble, headerSize);
    }
  };
  try {
    const { header, rest } = await readMessage(checkedBytes(bytes), headerSize);
    return { header, rest: refused(rest) };
  } catch (trouble) {
    throw refusalOf(trouble, headerSize);
  }
}

function refusalOf(trouble: unknown, headerSize: number): unknown {
  if (trouble instanceof BadBytesError) return new Refusal('badBytes', trouble.message);
  if (trouble instanceof HeaderTooBigError) return new Refusal('headerTooBig', String(headerSize));
  return trouble;
}

/** What the message, its signature and the trust of this moment show; pure but for the cryptography. */
export function gather(message: ReceivedMessage, trust: Trust, at: Instant): Evidence {
  const { signed, malformed } = message;
  const certification = signed?.certificationData && certificationOf(signed.certificationData);
  return {
    header: parseHeader(message.header),
    signature:
      signed !== undefined
        ? signatureOf(signed, trust, at)
        : malformed !== undefined
          ? { state: 'broken', why: malformed }
          : { state: 'absent' },
    ...(certification !== undefined && { certification }),
    hasOriginal: signed?.original !== undefined,
    problems: signed?.problems ?? [],
  };
}

function certificationOf(xml: Buffer): CertificationData | string {
  try {
    return readCertificationData(xml);
  } catch (trouble) {
    if (trouble instanceof CertificationDataError) return trouble.message;
    throw trouble;
  }
}

function signatureOf(signed: SignedStructure, trust: Trust, at: Instant): SignatureEvidence {
  try {
    const parsed = readSignature(signed.signature);
    const { certificate, certificates } = verifySignature(parsed, name => signed.digests.get(name));
    return {
      state: 'good',
      certificate,
      hash: createHash('sha1').update(certificate).digest('hex'),
      addresses: rfc822Names(certificate)
        .map(parseMailbox)
        .filter(address => address !== undefined),
      path: checkPath(certificate, certificates, trust.anchors, at, trust.revocation),
    };
  } catch (trouble) {
    if (trouble instanceof SignatureError) return { state: 'broken', why: trouble.message };
    throw trouble;
  }
}
