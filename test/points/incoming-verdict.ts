// The incoming point of Beta's as its neighbours meet it: what it takes a message for, and what comes of that
import assert from 'node:assert/strict';
import type { ReceivedClass } from '../../src/pec/admission.ts';
import { firstOf, parseHeader } from '../../src/pec/header.ts';
import { type Instant, instant, type SmtpEnvelope } from '../../src/pec/values.ts';
import { Refusal } from '../../src/points/custody.ts';
import { incomingPoint } from '../../src/points/incoming-point.ts';
import type { Trust } from '../../src/points/ports.ts';
import { receive } from '../../src/points/reception.ts';
import { neighbours } from './neighbours.ts';
import { bytes, mailbox, session, world } from './world.ts';

export const anna = mailbox('anna@pec.alfa.example');
export const bruno = mailbox('bruno@pec.beta.example');
export const carla = mailbox('carla@pec.beta.example');
const routing: SmtpEnvelope = { from: anna, to: [bruno] };
const headerSize = 100_000;

export const there = await neighbours();

/** What a row may say of the circumstances. */
export interface Circumstances {
  readonly envelope?: SmtpEnvelope;
  readonly at?: Instant;
  readonly trust?: (usual: Trust) => Trust;
  /** Whether Bruno takes ordinary mail. */
  readonly mailbox?: 'open' | 'closed';
}

/** The class of a message, and what the incoming point did with it. */
export async function received(message: string, circumstances: Circumstances = {}) {
  const { envelope = routing, at = instant(Date.now()), trust = same => same } = circumstances;
  const octets = Buffer.from(message, 'latin1');
  const port = world(there.beta, trust(there.trust), at);
  if (circumstances.mailbox === 'open') port.open.add(bruno);
  const { issuer, domain } = there.beta;
  const { class: found, original: place } = await receive(port, envelope, bytes(octets, 700), at, headerSize);
  const door = incomingPoint(port, { issuer, domains: [domain], headerSize });
  const [reply] = await door.message(envelope, bytes(octets), session).catch((refusal: unknown) => {
    assert.ok(refusal instanceof Refusal, String(refusal));
    return [refusal.reply];
  });
  const original = place && octets.toString('latin1', place.start, place.end);
  return { found, original, reply, octets, kept: port.kept, debts: [...port.booked.values()] };
}

export function faultsOf(found: ReceivedClass): string {
  return `${found.class}: ${'reasons' in found && found.reasons.join('; ')}`;
}

export async function assertTransportEnvelope(message: string, circumstances?: Circumstances) {
  const { found, original: carried, reply, octets, kept, debts } = await received(message, circumstances);
  assert.equal(found.class, 'transport-envelope', faultsOf(found));
  assert.equal(reply?.code, 250);
  assert.deepEqual(
    kept.map(one => one.bytes),
    [octets],
    'not passed on as it came',
  );
  assert.deepEqual(
    debts.map(debt => [debt.kind, debt.to, 'taken' in debt && debt.taken]),
    [['presa-in-carico', 'ricevute@pec.alfa.example', [bruno]]],
  );
  return { found, carried };
}

export async function assertReceipt(message: string, kind: string, circumstances?: Circumstances) {
  const { found, reply, octets, kept, debts } = await received(message, circumstances);
  assert.ok(found.class === 'receipt', faultsOf(found));
  assert.equal(found.kind, kind);
  assert.equal(reply?.code, 250);
  assert.deepEqual(
    kept.map(one => one.bytes),
    [octets],
    'not passed on as it came',
  );
  assert.deepEqual(debts, []);
}

/** Passed on inside an anomaly envelope with the same routing data, and nothing owed. */
export async function assertWrapped(
  message: string,
  expected: Partial<ReceivedClass>,
  circumstances: Circumstances = {},
) {
  const { envelope = routing } = circumstances;
  const { found, reply, kept, debts } = await received(message, circumstances);
  assert.deepEqual({ class: found.class, ...('reasons' in found && { reasons: found.reasons }) }, expected);
  assert.equal(reply?.code, 250);
  assert.deepEqual(debts, []);
  const [wrapped] = kept;
  assert.deepEqual([wrapped?.from, wrapped?.to], [envelope.from, envelope.to]);
  const text = wrapped?.bytes.toString('latin1') ?? '';
  assert.equal(firstOf(parseHeader(text.slice(0, text.indexOf('\r\n\r\n') + 2)), 'X-Trasporto'), 'errore');
  assert.ok(text.includes(`\r\n\r\n${message}\r\n--`), 'the message is not inside as it came');
  assert.doesNotMatch(text.replace(message, ''), /name="daticert\.xml"/);
}

export async function assertOrdinary(message: string, reason: string, circumstances: Circumstances = {}) {
  const { reply, kept, debts } = await received(message, circumstances);
  assert.match(
    `${reply?.code} ${reply?.text}`,
    /^554 5\.7\.1 <bruno@pec\.beta\.example>: Messaggio rifiutato/,
  );
  assert.deepEqual([kept, debts], [[], []]);
  await assertWrapped(
    message,
    { class: 'ordinary', reasons: [reason] },
    { ...circumstances, mailbox: 'open' },
  );
}
