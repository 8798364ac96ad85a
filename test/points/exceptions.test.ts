// What goes wrong on the way, at the doors: non-acceptance, viruses, bounces, idle mail, the two timeout notices.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Receipt, Wait } from '../../src/pec/receipts.ts';
import { loginIsAddress } from '../../src/pec/senders.ts';
import { instant, type Mailbox } from '../../src/pec/values.ts';
import { accessPoint } from '../../src/points/access-point.ts';
import { NothingSent, Refusal } from '../../src/points/custody.ts';
import { deliveryPoint } from '../../src/points/delivery-point.ts';
import { incomingPoint } from '../../src/points/incoming-point.ts';
import { pay } from '../../src/points/receipt-worker.ts';
import { bytes, mailbox, type Party, session, twoProviders, type World, world } from './world.ts';

const HOUR = 3_600_000;
const headerSize = 100_000;
const anna = mailbox('anna@pec.alfa.example');
const zoe = mailbox('zoe@pec.alfa.example');
const bruno = mailbox('bruno@pec.beta.example');
const carla = mailbox('carla@pec.beta.example');
const mario = mailbox('mario@ordinary.example');
// The certificates of this run are valid from an hour ago on.
const noon = instant(Date.now());

let providers: Awaited<ReturnType<typeof twoProviders>>;
before(async () => {
  providers = await twoProviders();
});

function messageTo(...to: readonly Mailbox[]): string {
  const fields = [
    'Message-ID: <c1@alfa.example>',
    `From: ${anna}`,
    `To: ${to.join(', ')}`,
    'Subject: Offerta',
  ];
  return [...fields, '', 'Testo', ''].join('\r\n');
}

interface Submission {
  readonly to?: readonly Mailbox[];
  readonly text?: string;
  readonly onFormalException?: 'refuse' | 'receipt-only';
}

function submit(
  at: World,
  { to = [bruno], text = messageTo(...to), onFormalException = 'refuse' }: Submission = {},
) {
  const { issuer, domain, provider } = providers.alfa;
  const door = accessPoint(at, {
    issuer,
    serviceMailbox: provider.mailReceipt,
    domains: [domain],
    addressesOf: loginIsAddress,
    maxSizeTimesRecipients: 10_000,
    headerSize,
    onFormalException,
    timeouts: { firstNotice: 12 * HOUR, secondNotice: 24 * HOUR },
  });
  return door.message({ from: anna, to }, bytes(text), session);
}

async function envelope(to: readonly Mailbox[] = [bruno]): Promise<Buffer> {
  const at = alfa();
  await submit(at, { to });
  return at.kept[0]?.bytes ?? assert.fail();
}

function arrive(
  at: World,
  message: Buffer | string,
  from: Mailbox | null,
  to: readonly Mailbox[],
  { issuer, domain }: Party,
) {
  return incomingPoint(at, { issuer, domains: [domain], headerSize }).message(
    { from, to },
    bytes(message),
    session,
  );
}

function deliver(
  at: World,
  message: Buffer | string,
  from: Mailbox | null,
  to: readonly Mailbox[],
  { issuer, domain }: Party,
) {
  const policy = { issuer, domains: [domain], headerSize, idle: 24 * HOUR };
  return deliveryPoint(at, policy).message({ from, to }, bytes(message), session);
}

const alfa = (at = noon) => world(providers.alfa, providers.trust, at);
const beta = (at = noon) => world(providers.beta, providers.trust, at);

function receiptsOf({ booked }: World): Receipt[] {
  return [...booked.values()].filter(debt => debt.kind !== 'attesa');
}
function waitsOf({ booked }: World): Wait[] {
  return [...booked.values()].filter(debt => debt.kind === 'attesa');
}

test('§3.1.2 a formal exception: refused, and a notice that says why', async () => {
  const at = alfa();
  const text = `Bcc: x@y.example\r\n${messageTo(bruno)}`;
  await assert.rejects(submit(at, { text }), /^Error: 550 5\.6\.0 Formal exception: Bcc/);
  const [notice, ...more] = receiptsOf(at);
  assert.ok(notice?.kind === 'non-accettazione' && more.length === 0);
  assert.deepEqual([notice.to, notice.why, notice.error.errore], [anna, 'campo Bcc valorizzato', 'altro']);
  assert.deepEqual([at.kept, waitsOf(at), at.lines.map(({ event }) => event)], [[], [], ['refused']]);
});

test('§3.1.2 receipt-only: 250 and the notice', async () => {
  const at = alfa();
  const text = `Bcc: x@y.example\r\n${messageTo(bruno)}`;
  const [reply] = await submit(at, { text, onFormalException: 'receipt-only' });
  assert.deepEqual([reply?.code, at.kept, receiptsOf(at).length], [250, [], 1]);
});

test('§3.1.2 size times recipients: the notice, once the client has said all', async () => {
  const at = alfa();
  const to = [bruno, carla];
  const text = messageTo(...to) + 'x\r\n'.repeat(2_000);
  await assert.rejects(submit(at, { to, text }), /^Error: 552 5\.3\.4/);
  const [notice] = receiptsOf(at);
  assert.match(notice?.kind === 'non-accettazione' ? notice.why : '', /oltre il limite di 10000 byte/);
});

test('a client that vanishes before it has said all earns no notice', async () => {
  const at = alfa();
  const text = `Bcc: x@y.example\r\n${messageTo(bruno)}`;
  async function* broken() {
    yield Buffer.from(text);
    throw new Error('gone');
  }
  const { issuer, domain, provider } = providers.alfa;
  const policy = {
    issuer,
    serviceMailbox: provider.mailReceipt,
    domains: [domain],
    addressesOf: loginIsAddress,
  };
  const timeouts = { firstNotice: 1, secondNotice: 1 };
  const door = accessPoint(at, {
    ...policy,
    maxSizeTimesRecipients: 10_000,
    headerSize,
    onFormalException: 'refuse',
    timeouts,
  });
  await assert.rejects(door.message({ from: anna, to: [bruno] }, broken(), session), /gone/);
  assert.deepEqual(receiptsOf(at), []);
});

test('§3.1.3 a virus: refused, stored, a notice; the MTA never sees the dot', async () => {
  const at = alfa();
  at.infect('Eicar-Test');
  await assert.rejects(
    submit(at, { onFormalException: 'receipt-only' }),
    /^Error: 550 5\.7\.0 Virus found: Eicar-Test/,
  );
  const [notice] = receiptsOf(at);
  assert.ok(
    notice?.kind === 'non-accettazione' && notice.error.errore === 'virus' && notice.why === 'Eicar-Test',
  );
  const [stored] = at.viruses.values();
  assert.equal(String(stored?.bytes), messageTo(bruno));
  assert.deepEqual([at.kept, at.lines.map(({ event }) => event)], [[], ['infected']]);
});

test('an unknown X-TipoRicevuta is taken as completa, with a note in the journal', async () => {
  const at = alfa();
  await submit(at, { text: `X-TipoRicevuta: enorme\r\n${messageTo(bruno)}` });
  assert.match(at.lines.at(-1)?.reason ?? '', /enorme is unknown/);
});

test('a recipient outside PEC that the MTA refuses: the keeper is told to take all or nothing', async () => {
  const at = alfa();
  await submit(at, { to: [bruno, mario] });
  assert.deepEqual(at.indispensable, [mario]);
});

test('§3.4 sender and recipient are ours: acceptance, take-charge, delivery', async () => {
  const at = alfa();
  await submit(at, { to: [zoe] });
  const [acceptance, taken] = receiptsOf(at);
  assert.deepEqual(
    [acceptance?.kind, taken?.kind, taken?.to],
    ['accettazione', 'presa-in-carico', 'ricevute@pec.alfa.example'],
  );
  const there = alfa();
  await deliver(there, at.kept[0]?.bytes ?? '', anna, [zoe], providers.alfa);
  assert.equal(receiptsOf(there)[0]?.kind, 'avvenuta-consegna');
});

test('§3.2.3 a virus in a transport envelope: 250, stored, and told to its provider for each recipient', async () => {
  const at = beta();
  at.infect('Eicar-Test');
  const [reply] = await arrive(at, await envelope([bruno, carla]), anna, [bruno, carla], providers.beta);
  assert.equal(reply?.code, 250);
  assert.deepEqual([at.kept, at.viruses.size], [[], 1]);
  const [one, other, ...more] = receiptsOf(at);
  assert.ok(one?.kind === 'rilevazione-virus' && other?.kind === 'rilevazione-virus' && more.length === 0);
  assert.deepEqual([one.recipient, other.recipient, one.to], [bruno, carla, 'ricevute@pec.alfa.example']);
});

/** Alfa after a submission, and Beta's virus notice about it. */
async function virusNotice() {
  const home = alfa();
  await submit(home);
  const message = home.kept[0]?.bytes ?? assert.fail();
  const there = beta();
  there.infect('Eicar-Test');
  await arrive(there, message, anna, [bruno], providers.beta);
  const [owed] = receiptsOf(there);
  await pay(there, providers.beta.issuer, owed ?? assert.fail());
  home.booked.clear();
  home.kept.length = 0;
  const notice = there.kept[0] ?? assert.fail();
  return {
    home,
    message,
    hear: (at: World) => arrive(at, notice.bytes, notice.from, notice.to, providers.alfa),
  };
}

test('§3.2.4 a virus notice about a message of ours reaches our user as a non-delivery, and closes the wait', async () => {
  const { home, hear } = await virusNotice();
  await hear(home);
  const [told] = receiptsOf(home);
  assert.ok(told?.kind === 'errore-consegna' && told.error.errore === 'virus');
  assert.deepEqual(
    [told.to, told.recipient, told.error.virus, home.kept.length],
    [anna, bruno, 'Eicar-Test', 1],
  );
  const [{ heard } = assert.fail()] = home.tracked.values();
  assert.deepEqual(Object.keys(heard.get(bruno) ?? {}), ['errore-consegna']);
});

test('§3.2.4 a virus notice about what we never sent certifies nothing, and is passed on', async () => {
  const { hear } = await virusNotice();
  const other = alfa();
  await hear(other);
  assert.deepEqual([receiptsOf(other), other.kept.length], [[], 1]);
});

test('§3.2.4 a virus notice after the delivery receipt certifies nothing: a recipient has one outcome', async () => {
  const { home, message, hear } = await virusNotice();
  await heardFrom(home, message, ['avvenuta-consegna']);
  await hear(home);
  assert.deepEqual(receiptsOf(home), []);
});

test('§3.2.4 a virus notice that our MTA does not take leaves the wait open', async () => {
  const { home, hear } = await virusNotice();
  home.answering(() => ({ code: 550, enhanced: '5.1.1', text: 'no' }));
  await assert.rejects(hear(home), /550 5\.1\.1/);
  const [{ heard } = assert.fail()] = home.tracked.values();
  assert.deepEqual([receiptsOf(home), heard.size], [[], 0]);
});

test('an envelope that comes twice has one outcome, whatever befalls the second', async () => {
  const message = await envelope();
  const at = beta();
  await deliver(at, message, anna, [bruno], providers.beta);
  at.clock(instant(noon + 25 * HOUR));
  at.answering(() => ({ code: 452, enhanced: '4.2.2', text: 'full' }));
  await deliver(at, message, anna, [bruno], providers.beta);
  assert.deepEqual(
    receiptsOf(at).map(({ kind }) => kind),
    ['avvenuta-consegna'],
  );
});

test('§2.2.2 a mail store that is away for 24 hours: the non-delivery all the same', async () => {
  const message = await envelope();
  for (const [hours, codes, count] of [
    [23, [451], 0],
    [24, [250], 1],
  ] as const) {
    const at = beta(instant(noon + hours * HOUR));
    at.breaking(new NothingSent('connection refused'));
    const replies = await deliver(at, message, anna, [bruno], providers.beta);
    assert.deepEqual(
      [replies.map(({ code }) => code), receiptsOf(at).length, at.spooled.size],
      [codes, count, 0],
    );
  }
});

test('a mail store that is lost after the dot: nobody knows, nothing is certified, nothing stays kept', async () => {
  const at = beta(instant(noon + 30 * HOUR));
  at.breaking(new Error('connection lost'));
  await assert.rejects(deliver(at, await envelope(), anna, [bruno], providers.beta), /connection lost/);
  assert.deepEqual([receiptsOf(at), at.spooled.size], [[], 0]);
});

test('infected ordinary mail for an open mailbox is refused', async () => {
  const at = beta();
  at.open.add(bruno);
  at.infect('Eicar-Test');
  const letter = `From: ${mario}\r\nTo: ${bruno}\r\n\r\nCiao\r\n`;
  await assert.rejects(arrive(at, letter, mario, [bruno], providers.beta), /^Error: 550 5\.7\.0/);
  assert.deepEqual([at.kept, receiptsOf(at)], [[], []]);
});

test('§3.2.1 recipients that our own MTA refuses are told to the sender; the others are taken', async () => {
  const at = beta();
  at.answering(to =>
    to === carla ? { code: 550, enhanced: '5.1.1', text: 'no' } : { code: 250, text: 'ok' },
  );
  await arrive(at, await envelope([bruno, carla]), anna, [bruno, carla], providers.beta);
  const [taken, failure] = receiptsOf(at);
  assert.deepEqual(taken?.kind === 'presa-in-carico' && taken.taken, [bruno]);
  assert.ok(failure?.kind === 'errore-consegna' && failure.recipient === carla && failure.to === anna);
});

test('§2.2.2 mail that lies idle for 24 hours after its certified date becomes a non-delivery', async () => {
  const message = await envelope();
  const busy = () => ({ code: 452, enhanced: '4.2.2', text: 'full' });
  const early = beta(instant(noon + 24 * HOUR - 1000));
  early.answering(busy);
  const [putOff] = await deliver(early, message, anna, [bruno], providers.beta);
  assert.deepEqual([putOff?.code, receiptsOf(early)], [452, []]);
  const late = beta(instant(noon + 24 * HOUR));
  late.answering(busy);
  const [settled] = await deliver(late, message, anna, [bruno], providers.beta);
  const [failure] = receiptsOf(late);
  assert.equal(settled?.code, 250);
  assert.ok(failure?.kind === 'errore-consegna' && failure.error.extended.startsWith('5.4.7 - beta - '));
});

function bounceOf(pecMsgid: string, recipient: Mailbox, status = '5.1.1'): string {
  return [
    'From: MAILER-DAEMON@mx.alfa.example',
    `To: ${anna}`,
    'Subject: Undelivered',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
    '',
    '--b',
    '',
    'Sorry.',
    '--b',
    'Content-Type: message/delivery-status',
    '',
    'Reporting-MTA: dns; mx.alfa.example',
    '',
    `Final-Recipient: rfc822; ${recipient}`,
    'Action: failed',
    `Status: ${status}`,
    '--b',
    'Content-Type: text/rfc822-headers',
    '',
    `Message-ID: <${pecMsgid}>`,
    'X-Trasporto: posta-certificata',
    '--b--',
    '',
  ].join('\r\n');
}

/** A world of Alfa after a submission, and its PEC msgid. */
async function afterSubmission(to: readonly Mailbox[] = [bruno]) {
  const at = alfa();
  await submit(at, { to });
  const [pecMsgid] = at.tracked.keys();
  at.booked.clear();
  at.kept.length = 0;
  return { at, pecMsgid: pecMsgid ?? assert.fail() };
}

for (const [name, door] of [
  ['delivery', deliver],
  ['incoming', arrive],
] as const) {
  test(`a bounce for our transport envelope becomes a non-delivery notice, at the ${name} point`, async () => {
    const { at, pecMsgid } = await afterSubmission();
    const [reply] = await door(at, bounceOf(pecMsgid, bruno, '5.1.2'), null, [anna], providers.alfa);
    const [notice] = receiptsOf(at);
    assert.deepEqual([reply?.code, at.kept], [250, []]);
    assert.ok(notice?.kind === 'errore-consegna' && notice.error.errore === 'no-dominio');
    assert.deepEqual([notice.to, notice.recipient], [anna, bruno]);
  });
}

const untrue: [string, (pecMsgid: string) => { text: string; to?: Mailbox }][] = [
  ['for another message', () => ({ text: bounceOf('pecother@pec.alfa.example', bruno) })],
  ['for somebody who got nothing', id => ({ text: bounceOf(id, carla) })],
  ['for a recipient outside PEC', id => ({ text: bounceOf(id, mario) })],
  ['sent to another of our users', id => ({ text: bounceOf(id, bruno), to: zoe })],
  ['of a mere delay', id => ({ text: bounceOf(id, bruno).replace('failed', 'delayed') })],
];
for (const [name, make] of untrue)
  test(`a bounce ${name} is delivered as it is, and certifies nothing`, async () => {
    const { at, pecMsgid } = await afterSubmission([bruno, mario]);
    const { text, to = anna } = make(pecMsgid);
    await deliver(at, text, null, [to], providers.alfa);
    assert.deepEqual([String(at.kept[0]?.bytes), receiptsOf(at)], [text, []]);
  });

test('a bounce from outside is believed only where nobody else could know the identifier', async () => {
  const { at, pecMsgid } = await afterSubmission([bruno, mario]);
  at.open.add(anna);
  await arrive(at, bounceOf(pecMsgid, bruno), null, [anna], providers.alfa);
  assert.deepEqual(receiptsOf(at), []);
  await deliver(at, bounceOf(pecMsgid, bruno), null, [anna], providers.alfa);
  assert.deepEqual(
    receiptsOf(at).map(({ kind }) => kind),
    ['errore-consegna'],
  );
});

test('a bounce after the take-charge is a lie', async () => {
  const { at, pecMsgid } = await afterSubmission();
  await at.waits.note({ pecMsgid, heard: 'presa-in-carico', recipients: [bruno] }, noon);
  await deliver(at, bounceOf(pecMsgid, bruno), null, [anna], providers.alfa);
  assert.deepEqual(receiptsOf(at), []);
});

/** Runs the receipts of Beta that `kinds` names into Alfa's incoming point. */
async function heardFrom(at: World, message: Buffer, kinds: readonly Receipt['kind'][]) {
  const there = beta();
  if (kinds.includes('presa-in-carico')) await arrive(there, message, anna, [bruno], providers.beta);
  if (kinds.includes('avvenuta-consegna')) await deliver(there, message, anna, [bruno], providers.beta);
  for (const owed of receiptsOf(there)) {
    there.kept.length = 0;
    await pay(there, providers.beta.issuer, owed);
    await arrive(at, there.kept[0]?.bytes ?? '', providers.beta.issuer.address, [owed.to], providers.alfa);
  }
}

const scenarios: [string, readonly Receipt['kind'][], readonly Receipt['kind'][], readonly string[]][] = [
  ['nothing is heard: two notices', [], [], ['first', 'second']],
  ['a take-charge alone: the 24 hour notice', ['presa-in-carico'], [], ['second']],
  ['a delivery after 12 hours: the 12 hour notice', [], ['avvenuta-consegna'], ['first']],
  ['take-charge and delivery in time: none', ['presa-in-carico', 'avvenuta-consegna'], [], []],
  ['a delivery alone, in time: none', ['avvenuta-consegna'], [], []],
];
for (const [name, early, late, notices] of scenarios)
  test(`§3.1.6 ${name}`, async () => {
    const at = alfa();
    await submit(at);
    const message = at.kept[0]?.bytes ?? assert.fail();
    const [first, second] = waitsOf(at);
    assert.deepEqual([first?.due, second?.due], [noon + 12 * HOUR, noon + 24 * HOUR]);
    at.booked.clear();
    await heardFrom(at, message, early);
    at.clock(instant(noon + 12 * HOUR));
    await pay(at, providers.alfa.issuer, first ?? assert.fail());
    await heardFrom(at, message, late);
    at.clock(instant(noon + 24 * HOUR));
    await pay(at, providers.alfa.issuer, second ?? assert.fail());
    // Run again after a crash, also one before its notices were booked, a wait owes nothing more.
    await pay(at, providers.alfa.issuer, second ?? assert.fail());
    const owed = receiptsOf(at).flatMap(debt => (debt.kind === 'preavviso-errore-consegna' ? [debt] : []));
    assert.deepEqual(
      owed.map(({ notice }) => notice),
      notices,
    );
    for (const { to, recipient, error } of owed)
      assert.deepEqual([to, recipient, error.errore], [anna, bruno, 'altro']);
  });

test('§3.1.6 a wait is not over before its time; what is unknown is not certified, but tried again', async () => {
  const at = alfa();
  await submit(at);
  const [first] = waitsOf(at);
  at.booked.clear();
  await assert.rejects(pay(at, providers.alfa.issuer, first ?? assert.fail()), /clock/);
  at.clock(instant(noon + 13 * HOUR));
  at.tracked.clear();
  await assert.rejects(pay(at, providers.alfa.issuer, first ?? assert.fail()), /is not tracked/);
  assert.deepEqual([receiptsOf(at), at.lines.filter(({ event }) => event === 'overdue')], [[], []]);
});

test('§3.1.6 a receipt of a provider who has nothing to do with the recipient closes no wait', async () => {
  const at = alfa();
  await submit(at, { to: [zoe] });
  const [[pecMsgid, { heard }] = assert.fail()] = at.tracked;
  const there = beta();
  const [taken] = receiptsOf(at).filter(({ kind }) => kind === 'presa-in-carico');
  await pay(there, providers.beta.issuer, taken ?? assert.fail());
  await arrive(at, there.kept[0]?.bytes ?? '', providers.beta.issuer.address, [anna], providers.alfa);
  assert.deepEqual([pecMsgid.length > 0, heard.size], [true, 0]);
});

test('a mailbox that refuses closes the wait: no timeout notice beside the non-delivery', async () => {
  const at = alfa();
  at.answering(to =>
    to === carla ? { code: 550, enhanced: '5.1.1', text: 'no' } : { code: 250, text: 'ok' },
  );
  await submit(at, { to: [bruno, carla] });
  const [first] = waitsOf(at);
  at.booked.clear();
  at.clock(instant(noon + 12 * HOUR));
  await pay(at, providers.alfa.issuer, first ?? assert.fail());
  assert.deepEqual(
    receiptsOf(at).map(debt => 'recipient' in debt && debt.recipient),
    [bruno],
  );
});

test('a Refusal is the proof of a notice: it says what the client heard', () => {
  assert.equal(new Refusal('virus', 'x').reply.text, '5.7.0 Virus found: x');
});
