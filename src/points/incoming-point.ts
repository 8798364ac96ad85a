// The incoming point: what other providers and the Internet send. RFC 6109 §2.2.2, §3.2
import { type ReceivedClass, reversePathTells } from '../pec/admission.ts';
import { anomalyEnvelope, type Issuer } from '../pec/compose.ts';
import { virusError, virusNamed } from '../pec/delivery.ts';
import { anomalies } from '../pec/texts.ts';
import { hearingOf } from '../pec/tracking.ts';
import { type Domain, domainOf, type Mailbox, type SmtpEnvelope } from '../pec/values.ts';
import type { Signer } from '../smime/sign.ts';
import { correlate } from './bounce.ts';
import { accepted, infected, type OwedDebt, owe, Refusal, type Reply, settled, toldOf } from './custody.ts';
import { handOver, type Keepers, type Offer, type Operation, oweFailures, settle } from './hand-over.ts';
import { type Antivirus, virusIn } from './inspection.ts';
import type { Door, Mailboxes, Origin, Spool, Trust } from './ports.ts';
import { type Reception, receive, statedBy } from './reception.ts';
import { signedMessage } from './signed-message.ts';

export interface IncomingPolicy {
  readonly issuer: Issuer;
  /** The PEC domains whose mailboxes are ours. */
  readonly domains: readonly Domain[];
  /** In bytes. */
  readonly headerSize: number;
}

export interface IncomingWorld extends Keepers {
  readonly spool: Spool;
  readonly trust: Trust;
  readonly mailboxes: Mailboxes;
  readonly signer: Signer;
  readonly origin: Origin;
  readonly antivirus?: Antivirus | undefined;
}

/** One message, and what is known of it. */
interface Arrival {
  readonly envelope: SmtpEnvelope;
  readonly reception: Reception;
  readonly operation: Operation;
  readonly gone: AbortSignal;
}

export function incomingPoint(world: IncomingWorld, policy: IncomingPolicy): Door {
  // Nothing is taken out of `world` here: a reload replaces what is in it.
  return {
    async mail() {},
    async recipient(to, from) {
      if (!policy.domains.includes(domainOf(to))) throw new Refusal('noRelay', to);
      if (reversePathTells(from, world.trust.directory) && !(await world.mailboxes.isOpen(to)))
        throw new Refusal('ordinaryMail', to);
    },
    async message(envelope, bytes, { gone }) {
      const at = world.origin.now();
      const reception = await receive(world, envelope, bytes, at, policy.headerSize);
      await using _spooled = reception.spooled;
      const operation: Operation = {
        ...statedBy(reception),
        point: 'incoming',
        transaction: world.origin.messageId(),
        at,
        sender: envelope.from,
        recipients: envelope.to,
      };
      return [await admit(world, policy, { envelope, reception, operation, gone })];
    },
  };
}

async function admit(world: IncomingWorld, policy: IncomingPolicy, arrival: Arrival): Promise<Reply> {
  const { envelope, reception, operation } = arrival;
  const { class: received, spooled } = reception;
  switch (received.class) {
    case 'transport-envelope': {
      const virus = await virusIn(world.antivirus, spooled.read());
      return virus === undefined
        ? takeCharge(world, policy, received, arrival)
        : detain(world, policy, received, arrival, virus);
    }
    case 'receipt':
      return passOn(world, policy, received, arrival);
    case 'anomaly-envelope':
      return wrap(world, policy, arrival, [anomalies.otherKind]);
    case 'anomalous':
      return wrap(world, policy, arrival, received.reasons);
    case 'ordinary': {
      const correlated = await correlate(world, policy.issuer, arrival, 'from outside');
      if (correlated?.complete) return settled(correlated.line, operation.transaction);
      for (const recipient of envelope.to)
        if (!(await world.mailboxes.isOpen(recipient))) throw new Refusal('ordinaryMail', recipient);
      return wrap(world, policy, arrival, received.reasons);
    }
  }
}

/** A correct transport envelope goes on as it is, and its provider hears that we answer for it (§3.2.1). */
async function takeCharge(
  world: IncomingWorld,
  { issuer }: IncomingPolicy,
  { certification: { about }, provider }: Extract<ReceivedClass, { class: 'transport-envelope' }>,
  { envelope, reception, operation, gone }: Arrival,
): Promise<Reply> {
  const { origin } = world;
  const { at, transaction } = operation;
  const message = reception.spooled.read();
  const { custody, rejections } = await handOver(world, envelope, message, operation, { gone });
  const debtTo = (to: Mailbox) => ({ messageId: origin.messageId(), at, to, about });
  const taken = { ...debtTo(provider.mailReceipt), taken: custody.recipients };
  const failures = oweFailures(rejections, issuer.name, () => debtTo(about.sender));
  const debts = [owe({ kind: 'presa-in-carico', ...taken }, custody), ...failures];
  return accepted(custody, await settle(world, { ...operation, event: 'taken', debts }), transaction);
}

/** An infected transport envelope is kept, not delivered; its provider hears of it once for each recipient (§3.2.3). */
async function detain(
  world: IncomingWorld,
  { issuer }: IncomingPolicy,
  { certification: { about }, provider }: Extract<ReceivedClass, { class: 'transport-envelope' }>,
  { envelope, reception, operation }: Arrival,
  virus: string,
): Promise<Reply> {
  const { at, transaction } = operation;
  await world.antivirus?.store.store(transaction, reception.spooled.read(), { ...operation, virus });
  const infection = infected(virus, envelope.to);
  const error = virusError(virus, issuer.name);
  const debts = infection.recipients.map(recipient => {
    const messageId = world.origin.messageId();
    const to = provider.mailReceipt;
    return owe({ kind: 'rilevazione-virus', messageId, at, to, about, recipient, error }, infection);
  });
  const line = await settle(world, { ...operation, event: 'infected', reason: virus, debts });
  return settled(line, transaction);
}

/** A receipt of another provider closes our waits and goes on as it is; a virus notice reaches our user as a non-delivery (§3.2.4). */
async function passOn(
  world: IncomingWorld,
  { domains }: IncomingPolicy,
  received: Extract<ReceivedClass, { class: 'receipt' }>,
  arrival: Arrival,
): Promise<Reply> {
  const { envelope, reception, operation } = arrival;
  const { certification, kind, provider } = received;
  const { at, transaction } = operation;
  const hearing = hearingOf(received, domains, world.trust.directory);
  const heard = hearing !== undefined && kind !== 'rilevazione-virus' ? { heard: hearing } : {};
  if (heard.heard !== undefined) await world.waits.note(heard.heard, at);
  // Of a virus the waits hear with the debt that comes of it; and only what we sent ourselves can be certified.
  const tracked = hearing !== undefined && (await world.waits.of(hearing.pecMsgid));
  const message = reception.spooled.read();
  const { custody } = await handOver(world, envelope, message, operation, forAllOf(arrival));
  const debts: OwedDebt[] = [];
  if (kind === 'rilevazione-virus' && hearing && tracked) {
    const { about } = tracked;
    const failure = toldOf(hearing, tracked);
    const error = virusError(virusNamed(certification.extended), provider.name);
    for (const recipient of failure.recipients) {
      const messageId = world.origin.messageId();
      const debt = { messageId, at, to: about.sender, about, recipient, error };
      debts.push(owe({ kind: 'errore-consegna', ...debt }, failure));
    }
  }
  const line = await settle(world, { ...operation, event: 'passed-on', debts, ...heard });
  return accepted(custody, line, transaction);
}

/** Passes a message on inside an anomaly envelope, its routing data unchanged; nothing is owed for it (§3.2.2). */
async function wrap(
  world: IncomingWorld,
  { issuer }: IncomingPolicy,
  arrival: Arrival,
  reasons: readonly string[],
): Promise<Reply> {
  const { envelope, operation, reception } = arrival;
  const { header, spooled } = reception;
  const { at, transaction: messageId } = operation;
  const virus = await virusIn(world.antivirus, spooled.read());
  if (virus !== undefined) throw new Refusal('virus', virus);
  const plan = anomalyEnvelope(header, { recipients: envelope.to, reasons, at, messageId }, issuer);
  const message = signedMessage(plan, world.signer, spooled.read());
  const { custody } = await handOver(world, envelope, message, operation, forAllOf(arrival));
  const reason = reasons.join('; ');
  const line = await settle(world, { ...operation, event: 'enveloped', generated: [messageId], reason });
  return accepted(custody, line, messageId);
}

/** What earns no receipt goes to all or to nobody: of a recipient that is left out only a bounce could tell. */
function forAllOf({ envelope, gone }: Arrival): Offer {
  return { gone, indispensable: envelope.to };
}
