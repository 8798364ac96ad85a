// The access point: what a user submits becomes a transport envelope. RFC 6109 §2.2.1, §3.1
import { concatenated, heldUntil, limited, tapped } from '../mime/bytes.ts';
import {
  type Issuer,
  receiptFormAsked,
  statedFacts,
  transportEnvelope,
  unknownReceiptForm,
  wrappedHeader,
} from '../pec/compose.ts';
import { recipientKind } from '../pec/directory.ts';
import { formalExceptions, largestSize, type Submission } from '../pec/formal-checks.ts';
import { type Header, parseHeader } from '../pec/header.ts';
import type { MessageFacts } from '../pec/receipts.ts';
import { waitsFor } from '../pec/tracking.ts';
import { type Domain, domainOf, type Instant, type Mailbox, sameMailbox } from '../pec/values.ts';
import type { Signer } from '../smime/sign.ts';
import {
  accepted,
  type Custody,
  type OwedDebt,
  owe,
  Refusal,
  type Rejection,
  type Reply,
  settled,
} from './custody.ts';
import { handOver, type Keepers, type Operation, oweFailures, settle } from './hand-over.ts';
import { type Antivirus, inspect } from './inspection.ts';
import { NotAccepted, oweNonAcceptance } from './non-acceptance.ts';
import type { Door, Origin, Session, Spool, Trust } from './ports.ts';
import { readConforming } from './reception.ts';
import { signedMessage } from './signed-message.ts';

export interface AccessPolicy {
  readonly issuer: Issuer;
  /** Our mailReceipt in the directory. */
  readonly serviceMailbox: Mailbox;
  /** The PEC domains whose mailboxes are ours. */
  readonly domains: readonly Domain[];
  /** The addresses that a login may send as. */
  readonly addressesOf: (login: string) => readonly Mailbox[];
  /** In bytes. */
  readonly maxSizeTimesRecipients: number;
  /** In bytes. */
  readonly headerSize: number;
  readonly onFormalException: 'refuse' | 'receipt-only';
  /** In ms: when the two notices are due (§3.1.6). */
  readonly timeouts: { readonly firstNotice: number; readonly secondNotice: number };
}

export interface AccessWorld extends Keepers {
  readonly trust: Trust;
  readonly signer: Signer;
  readonly origin: Origin;
  readonly spool: Spool;
  readonly antivirus?: Antivirus | undefined;
}

export function accessPoint(world: AccessWorld, policy: AccessPolicy): Door {
  return {
    async mail(from, { login }) {
      if (login === undefined) throw new Refusal('notAuthenticated');
      if (from === null) throw new Refusal('nullReversePath');
      const own = policy.addressesOf(login).some(address => sameMailbox(address, from));
      if (!own || !policy.domains.includes(domainOf(from))) throw new Refusal('notYourAddress', from);
    },
    async recipient() {},
    async message({ from, to }, bytes, session) {
      if (from === null) throw new Refusal('nullReversePath');
      return [await submit(world, policy, { from, to }, bytes, session)];
    },
  };
}

/** A submission whose header has been read: the facts that we certify, and the bytes to come. */
export interface Submitted {
  readonly at: Instant;
  readonly about: MessageFacts;
  readonly original: Header;
  readonly rest: AsyncIterable<Buffer>;
}

/** Reads the header. Throws a Refusal for bytes that are no mail; `rest` throws one too, or NotAccepted if it is too long. */
export async function readSubmission(
  { origin, trust }: Pick<AccessWorld, 'origin' | 'trust'>,
  { maxSizeTimesRecipients, headerSize }: Pick<AccessPolicy, 'maxSizeTimesRecipients' | 'headerSize'>,
  { from, to }: Submission,
  bytes: AsyncIterable<Buffer>,
): Promise<Submitted> {
  const size = largestSize(maxSizeTimesRecipients, to.length);
  const bounded = limited(bytes, size, () => NotAccepted.tooBig(maxSizeTimesRecipients));
  const { header, rest } = await readConforming(bounded, headerSize);
  const original = parseHeader(header);
  const about: MessageFacts = {
    pecMsgid: origin.pecMsgid(),
    sender: from,
    recipients: to.map(address => ({ address, kind: recipientKind(address, trust.directory) })),
    ...statedFacts(original),
  };
  return { at: origin.now(), about, original, rest };
}

/** Checks the form (§3.1.1) and wraps the message (§3.1.5). Throws NotAccepted, after reading the submission to its end. */
export async function wrapSubmission(
  { at, about, original, rest }: Submitted,
  submission: Submission,
  issuer: Issuer,
  signer: Signer,
): Promise<AsyncIterable<Buffer>> {
  const [fault] = formalExceptions(original, submission);
  if (fault !== undefined) {
    for await (const _ of rest);
    throw NotAccepted.formal(fault);
  }
  const plan = transportEnvelope(original, about, receiptFormAsked(original), at, issuer);
  const wrapped = Buffer.from(wrappedHeader(original, about.pecMsgid, about.msgid), 'latin1');
  return signedMessage(plan, signer, concatenated(wrapped, rest));
}

async function submit(
  world: AccessWorld,
  policy: AccessPolicy,
  submission: Submission,
  bytes: AsyncIterable<Buffer>,
  { gone }: Session,
): Promise<Reply> {
  const { antivirus, signer, spool, waits } = world;
  const { issuer } = policy;
  await using inspection = antivirus && (await inspect(antivirus, spool));
  const seen = inspection === undefined ? bytes : tapped(bytes, chunk => inspection.push(chunk));
  const submitted = await readSubmission(world, policy, submission, seen).catch((trouble: unknown) => {
    // Too long before its header ends: there is nothing that a notice could tell.
    throw trouble instanceof NotAccepted ? trouble.refusal : trouble;
  });
  const operation = operationOf(submitted);
  const { about } = submitted;
  try {
    const wrapped = await wrapSubmission(submitted, submission, issuer, signer);
    const message = heldUntil(wrapped, async () => {
      const virus = await inspection?.verdict();
      if (virus !== undefined) throw NotAccepted.virus(virus);
      await waits.track(about);
    });
    // A recipient outside PEC earns no non-delivery (pec.md section 5): if the MTA does not want it, the client hears so.
    const indispensable = about.recipients
      .filter(({ kind }) => kind === 'esterno')
      .map(({ address }) => address);
    const offer = { gone, indispensable };
    const { custody, rejections } = await handOver(world, submission, message, operation, offer);
    const debts = debtsOf(world, policy, submitted, custody, rejections);
    const line = await settle(world, { ...operation, event: 'accepted', debts });
    return accepted(custody, line, about.pecMsgid);
  } catch (trouble) {
    if (!(trouble instanceof NotAccepted)) throw trouble;
    if (trouble.fault === 'virus' && inspection !== undefined)
      await antivirus?.store.store(about.pecMsgid, inspection.read(), { ...operation, virus: trouble.why });
    const line = await oweNonAcceptance(world, issuer, operation, about, trouble);
    if (trouble.fault === 'form' && policy.onFormalException === 'receipt-only')
      return settled(line, about.pecMsgid);
    throw trouble.refusal;
  }
}

function operationOf({ at, about, original }: Submitted): Operation {
  const { pecMsgid, msgid, subject, sender, recipients } = about;
  const form = unknownReceiptForm(original);
  return {
    point: 'access',
    transaction: pecMsgid,
    at,
    sender,
    recipients: recipients.map(({ address }) => address),
    pecMsgid,
    ...(msgid !== undefined && { msgid }),
    ...(subject !== undefined && { subject }),
    ...(form !== undefined && { reason: `X-TipoRicevuta ${form} is unknown, taken as completa` }),
  };
}

/** What an accepted message earns: the acceptance, a non-delivery for whom the MTA refused, take-charge for our own, two waits. */
function debtsOf(
  { origin }: AccessWorld,
  { issuer, domains, serviceMailbox, timeouts }: AccessPolicy,
  { at, about }: Submitted,
  custody: Custody,
  rejections: readonly Rejection[],
): readonly OwedDebt[] {
  const { sender } = about;
  const debt = () => ({ messageId: origin.messageId(), at, to: sender, about });
  const failures = oweFailures(rejections, issuer.name, debt);
  // Sender and recipient are ours (§3.4): the MTA that has the message is the receiving provider's too.
  const own = custody.recipients.filter(one => domains.includes(domainOf(one)));
  const taken =
    own.length === 0
      ? []
      : [owe({ kind: 'presa-in-carico', ...debt(), to: serviceMailbox, taken: own }, custody)];
  const waiting = about.recipients.some(({ kind }) => kind === 'certificato')
    ? waitsFor(about, at, timeouts).map(wait => owe(wait, custody))
    : [];
  return [owe({ kind: 'accettazione', ...debt() }, custody), ...failures, ...taken, ...waiting];
}
