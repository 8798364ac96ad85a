// The three doors and the worker on ports in memory: the whole journey, then the same with every port failing at every call.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { parseHeader, valuesOf } from '../../src/pec/header.ts';
import type { Receipt } from '../../src/pec/receipts.ts';
import { loginIsAddress } from '../../src/pec/senders.ts';
import { accessPoint } from '../../src/points/access-point.ts';
import { Refusal, type Reply, replyTo } from '../../src/points/custody.ts';
import { deliveryPoint } from '../../src/points/delivery-point.ts';
import { incomingPoint } from '../../src/points/incoming-point.ts';
import { forget, pay } from '../../src/points/receipt-worker.ts';
import { bytes, mailbox, session, twoProviders, type World, world } from './world.ts';

const anna = mailbox('anna@pec.alfa.example');
const bruno = mailbox('bruno@pec.beta.example');
const carla = mailbox('carla@pec.beta.example');
const mario = mailbox('mario@ordinary.example');
const submission = [
  'Message-ID: <client-1@alfa.example>',
  'From: Anna <anna@pec.alfa.example>',
  'To: Bruno <bruno@pec.beta.example>',
  'Cc: carla@pec.beta.example',
  'Subject: Offerta',
  '',
  'Testo',
  '..con un punto',
  '--pec1',
  '',
].join('\r\n');
const ordinary =
  'From: someone@ordinary.example\r\nTo: bruno@pec.beta.example\r\nSubject: Saluti\r\n\r\nCiao\r\n';

let providers: Awaited<ReturnType<typeof twoProviders>>;
before(async () => {
  providers = await twoProviders();
});

const headerSize = 100_000;
const HOUR = 3_600_000;
function access(at: World, onFormalException: 'refuse' | 'receipt-only' = 'refuse') {
  const { issuer, domain } = providers.alfa;
  return accessPoint(at, {
    issuer,
    domains: [domain],
    serviceMailbox: providers.alfa.provider.mailReceipt,
    addressesOf: loginIsAddress,
    maxSizeTimesRecipients: 1_000_000,
    headerSize,
    onFormalException,
    timeouts,
  });
}
const timeouts = { firstNotice: 12 * HOUR, secondNotice: 24 * HOUR };
const incoming = (at: World) =>
  incomingPoint(at, { issuer: providers.beta.issuer, domains: [providers.beta.domain], headerSize });
const delivery = (at: World, { issuer, domain } = providers.beta) =>
  deliveryPoint(at, { issuer, domains: [domain], headerSize, idle: 24 * HOUR });
const alfa = () => world(providers.alfa, providers.trust);
const beta = () => world(providers.beta, providers.trust);

const submitTo = { from: anna, to: [bruno, carla] };

/** The transport envelope that Alfa's MTA holds after a submission. */
async function envelope(): Promise<Buffer> {
  const at = alfa();
  await access(at).message(submitTo, bytes(submission), session);
  return at.kept[0]?.bytes ?? assert.fail();
}

function header(message: Buffer, name: string): string | undefined {
  return valuesOf(parseHeader(String(message.subarray(0, message.indexOf('\r\n\r\n') + 2))), name)[0];
}

function receiptsOf({ booked }: World): Receipt[] {
  return [...booked.values()].filter(debt => debt.kind !== 'attesa');
}

test('§2.2.1 a submission becomes a transport envelope, and an acceptance is owed', async () => {
  const at = alfa();
  const [reply] = await access(at).message(submitTo, bytes(submission, 7), session);
  assert.equal(reply?.code, 250);
  const [kept] = at.kept;
  assert.deepEqual([kept?.from, kept?.to], [anna, [bruno, carla]]);
  const pecMsgid = header(kept?.bytes ?? assert.fail(), 'Message-ID')?.slice(1, -1);
  assert.ok(
    kept?.bytes.includes(submission.replace('<client-1@alfa.example>', `<${pecMsgid}>`).slice(0, 60)),
  );
  assert.ok(kept?.bytes.includes('\r\n\r\nTesto\r\n..con un punto\r\n--pec1\r\n'));
  assert.deepEqual(
    at.lines.map(({ event }) => event),
    ['intent', 'accepted'],
  );
  const [debt] = receiptsOf(at);
  assert.deepEqual([debt?.kind, debt?.to, debt?.about.pecMsgid], ['accettazione', anna, pecMsgid]);
  assert.deepEqual(
    debt?.about.recipients.map(({ kind }) => kind),
    ['certificato', 'certificato'],
  );
});

const refused: [string, () => Promise<unknown>, RegExp][] = [
  ['not logged in', () => access(alfa()).mail(anna, { id: 's', gone: session.gone }), /^530 5\.7\.0/],
  ['as another', () => access(alfa()).mail(bruno, session), /^550 5\.7\.1/],
  ['as nobody', () => access(alfa()).mail(null, session), /^550 5\.7\.1/],
  [
    'bare LF',
    () => access(alfa()).message(submitTo, bytes(submission.replace('Testo\r', 'Testo')), session),
    /^550 5\.6\.0 .*bare LF/,
  ],
  [
    'formal exception',
    () => access(alfa()).message({ ...submitTo, to: [bruno] }, bytes(submission), session),
    /^550 5\.6\.0 Formal/,
  ],
  [
    'size times recipients',
    () => access(alfa()).message(submitTo, bytes(`${submission}${'x\r\n'.repeat(200_000)}`), session),
    /^552 5\.3\.4/,
  ],
  [
    'header too big',
    () =>
      access(alfa()).message(submitTo, bytes(`X: ${'y'.repeat(900)}\r\n`.repeat(200) + submission), session),
    /^550 5\.6\.0 Header/,
  ],
  ['no relay', () => incoming(beta()).recipient(mario, anna, session), /^550 5\.7\.1/],
  [
    'ordinary mail at RCPT',
    () => incoming(beta()).recipient(bruno, mario, session),
    /^554 5\.7\.1 <bruno@.*rifiutato/,
  ],
  [
    'ordinary mail at the dot',
    () => incoming(beta()).message({ from: anna, to: [bruno] }, bytes(ordinary), session),
    /^554 5\.7\.1 <bruno@.*rifiutato/,
  ],
];
for (const [name, attempt, reply] of refused)
  test(`refused: ${name}`, () =>
    assert.rejects(attempt(), error => error instanceof Refusal && reply.test(error.message)));

test('a refused submission never reaches the final dot', async () => {
  const at = alfa();
  await assert.rejects(access(at).message(submitTo, bytes(submission.replace('Testo\r', 'Testo')), session));
  assert.deepEqual([at.kept, at.lines, receiptsOf(at)], [[], [], []]);
});

test('a client that is gone: no final dot', async () => {
  const at = alfa();
  const gone = AbortSignal.abort();
  await assert.rejects(access(at).message(submitTo, bytes(submission), { ...session, gone }));
  assert.deepEqual([at.kept, receiptsOf(at)], [[], []]);
});

test('recipients that the MTA refuses get a non-delivery, the rest goes on (§3.3.3)', async () => {
  const at = alfa();
  at.answering(to =>
    to === carla ? { code: 550, enhanced: '5.1.1', text: 'no' } : { code: 250, text: 'ok' },
  );
  await access(at).message(submitTo, bytes(submission), session);
  assert.deepEqual(
    receiptsOf(at).map(debt => [debt.kind, 'recipient' in debt && debt.recipient]),
    [
      ['accettazione', false],
      ['errore-consegna', carla],
    ],
  );
});

test('an MTA that takes nothing: its answer, and nothing owed', async () => {
  const at = alfa();
  at.answering(() => ({ code: 452, enhanced: '4.3.1', text: 'disk full' }));
  await assert.rejects(
    access(at).message(submitTo, bytes(submission), session),
    /^Error: 452 4\.3\.1 disk full/,
  );
  assert.deepEqual(receiptsOf(at), []);
  assert.deepEqual(
    at.lines.map(({ event }) => event),
    ['intent', 'refused'],
  );
});

test('§3.2.1 a transport envelope is passed on as it is, and a take-charge is owed to its provider', async () => {
  const sent = await envelope();
  const at = beta();
  const [reply] = await incoming(at).message({ from: anna, to: [bruno, carla] }, bytes(sent, 501), session);
  assert.equal(reply?.code, 250);
  assert.ok(at.kept[0]?.bytes.equals(sent));
  const [debt] = receiptsOf(at);
  assert.deepEqual([debt?.kind, debt?.to], ['presa-in-carico', 'ricevute@pec.alfa.example']);
  assert.deepEqual(debt?.kind === 'presa-in-carico' && debt.taken, [bruno, carla]);
});

const forged: [string, (sent: Buffer) => Buffer, { from: typeof anna; to: (typeof anna)[] }][] = [
  ['replayed to another recipient', sent => sent, { from: anna, to: [mailbox('dora@pec.beta.example')] }],
  ['replayed by another sender', sent => sent, { from: mailbox('x@pec.alfa.example'), to: [bruno] }],
  [
    'another From',
    sent => Buffer.from(String(sent).replace(/<posta-certificata@pec.alfa/, '<posta-certificata@pec.beta')),
    { from: anna, to: [bruno] },
  ],
];
for (const [name, change, routing] of forged)
  test(`§3.2.2 ${name}: an anomaly envelope, no receipt`, async () => {
    const at = beta();
    const [reply] = await incoming(at).message(routing, bytes(change(await envelope())), session);
    assert.equal(reply?.code, 250);
    assert.equal(header(at.kept[0]?.bytes ?? assert.fail(), 'X-Trasporto'), 'errore');
    assert.deepEqual(receiptsOf(at), []);
  });

test('a changed byte makes it ordinary mail', async () => {
  const changed = Buffer.from(String(await envelope()).replace('..con un punto', '..con due punti'));
  await assert.rejects(
    incoming(beta()).message({ from: anna, to: [bruno] }, bytes(changed), session),
    /^Error: 554/,
  );
});

test('§3.2.2 ordinary mail for an open mailbox: an anomaly envelope with the message inside, no receipt', async () => {
  const at = beta();
  at.open.add(bruno);
  await incoming(at).recipient(bruno, mario, session);
  await incoming(at).message({ from: mario, to: [bruno] }, bytes(ordinary), session);
  const { bytes: kept } = at.kept[0] ?? assert.fail();
  assert.ok(kept.includes(`\r\n\r\n${ordinary}\r\n--`));
  assert.equal(header(kept, 'Subject'), 'ANOMALIA MESSAGGIO: Saluti');
  assert.deepEqual([receiptsOf(at), at.lines.at(-1)?.event], [[], 'enveloped']);

  const delivered = beta();
  const [reply] = await delivery(delivered).message({ from: mario, to: [bruno] }, bytes(kept), session);
  assert.deepEqual([reply?.code, receiptsOf(delivered)], [250, []]);
});

test('ordinary mail for an open and a closed mailbox: 554 for all when only the dot shows it', async () => {
  const at = beta();
  at.open.add(bruno);
  await assert.rejects(
    incoming(at).message({ from: anna, to: [bruno, carla] }, bytes(ordinary), session),
    /^Error: 554 5\.7\.1 <carla@/,
  );
  assert.deepEqual(at.kept, []);
});

test('§3.3 delivery: each recipient its own reply and its own receipt', async () => {
  const at = beta();
  const dora = mailbox('dora@pec.beta.example');
  const three = alfa();
  const text = submission.replace('Cc: carla', 'Cc: dora@pec.beta.example, carla');
  await access(three).message({ from: anna, to: [bruno, carla, dora] }, bytes(text), session);
  const sent = three.kept[0]?.bytes ?? assert.fail();
  at.answering(to =>
    to === carla
      ? { code: 550, enhanced: '5.1.1', text: 'unknown' }
      : to === dora
        ? { code: 452, enhanced: '4.2.2', text: 'full' }
        : { code: 250, text: 'saved' },
  );
  const replies = await delivery(at).message({ from: anna, to: [bruno, carla, dora] }, bytes(sent), session);
  assert.deepEqual(
    replies.map(({ code }) => code),
    [250, 250, 452],
  );
  assert.ok(at.kept[0]?.bytes.equals(sent));
  const [nonDelivery, done] = receiptsOf(at);
  assert.ok(nonDelivery?.kind === 'errore-consegna' && nonDelivery.recipient === carla);
  assert.equal(nonDelivery.error.extended, '5.1.1 - beta - indirizzo non valido');
  assert.ok(done?.kind === 'avvenuta-consegna' && done.recipient === bruno && done.form === 'completa');
  const { file, start, end } = done.original ?? assert.fail();
  const original = at.spooled.get(file)?.subarray(start, end);
  const pecMsgid = done.about.pecMsgid;
  assert.equal(
    String(original),
    text
      .replace('<client-1@alfa.example>', `<${pecMsgid}>`)
      .replace('\r\n\r\n', '\r\nX-Riferimento-Message-ID: <client-1@alfa.example>\r\n\r\n'),
  );
});

test('§3.3.2.1 a carbon copy gets the concise receipt, without the original', async () => {
  const at = beta();
  await delivery(at).message({ from: anna, to: [carla] }, bytes(await envelope()), session);
  const [debt] = receiptsOf(at);
  assert.ok(debt?.kind === 'avvenuta-consegna' && debt.form === 'sintetica' && debt.original === undefined);
  assert.equal(at.spooled.size, 0);
});

test('§2.2.3 anything else is delivered unchanged and earns nothing; a refusal is handed back', async () => {
  const at = beta();
  const [reply] = await delivery(at).message({ from: mario, to: [bruno] }, bytes(ordinary), session);
  assert.deepEqual([reply?.code, String(at.kept[0]?.bytes), receiptsOf(at)], [250, ordinary, []]);
  at.answering(() => ({ code: 552, enhanced: '5.2.2', text: 'full' }));
  const [refusal] = await delivery(at).message({ from: mario, to: [bruno] }, bytes(ordinary), session);
  assert.deepEqual(refusal, { code: 552, text: '5.2.2 full' });
});

test('a receipt is the same bytes each time, passes the incoming point, and is owed no more', async () => {
  const at = beta();
  await delivery(at).message({ from: anna, to: [bruno] }, bytes(await envelope()), session);
  const [debt] = receiptsOf(at);
  assert.ok(debt?.kind === 'avvenuta-consegna');
  await pay(at, providers.beta.issuer, debt);
  await pay(at, providers.beta.issuer, debt);
  const [, first, second] = at.kept;
  assert.ok(first && second && first.bytes.equals(second.bytes));
  assert.equal(at.spooled.size, 1);
  await forget(at.spool, debt);
  assert.equal(at.spooled.size, 0);
  await assert.rejects(pay(at, providers.beta.issuer, debt), { name: 'Unpayable' });
  assert.deepEqual([first.from, first.to], [providers.beta.issuer.address, [anna]]);
  assert.deepEqual(
    at.lines.slice(-1).map(({ event, paid }) => [event, paid?.startsWith('esito ')]),
    [['sent', true]],
  );

  const home = incomingPoint(alfa(), {
    issuer: providers.alfa.issuer,
    domains: [providers.alfa.domain],
    headerSize,
  });
  const [reply] = await home.message({ from: first.from, to: first.to }, bytes(first.bytes), session);
  assert.equal(reply?.code, 250);
});

test('a receipt that the MTA does not take stays owed', async () => {
  const at = alfa();
  await access(at).message(submitTo, bytes(submission), session);
  const [debt] = receiptsOf(at);
  at.answering(() => ({ code: 451, text: 'later' }));
  await assert.rejects(pay(at, providers.alfa.issuer, debt ?? assert.fail()));
  assert.equal(
    at.lines.some(({ event }) => event === 'sent'),
    false,
  );
});

const journeys: [string, () => World, (at: World) => Promise<readonly Reply[]>][] = [
  ['access point', alfa, at => access(at).message(submitTo, bytes(submission), session)],
  ['incoming point', beta, async at => incoming(at).message(submitTo, bytes(await envelope()), session)],
  ['delivery point', beta, async at => delivery(at).message(submitTo, bytes(await envelope()), session)],
];
for (const [name, fresh, run] of journeys)
  test(`${name}: whichever call of a port fails, nothing false is promised and nothing promised is lost`, async () => {
    const sound = fresh();
    await run(sound);
    assert.ok(sound.calls.length >= 5, sound.calls.join());
    for (let n = 1; n <= sound.calls.length; n += 1) {
      const at = fresh();
      at.failing(n);
      const replies = await run(at).catch((trouble: unknown) => [replyTo(trouble)]);
      const failed = sound.calls[n - 1];
      const promised = replies.some(({ code }) => code < 300);
      const journaledDebts = at.lines.flatMap(({ debts = [] }) => debts);
      // A 2xx: the keeper has it, the debts are on disk. Anything else is 451, and owes nothing.
      assert.equal(promised, failed === 'debts.book', `${failed}: ${JSON.stringify(replies)}`);
      assert.equal(journaledDebts.length > 0, promised, failed);
      if (promised) assert.equal(at.kept.length, 1, failed);
      else
        assert.deepEqual(
          replies.map(({ code, text }) => `${code} ${text.slice(0, 5)}`),
          ['451 4.3.0'],
          failed,
        );
      // Before the gate nobody saw the dot.
      if (n <= sound.calls.indexOf('keeper.reply')) assert.equal(at.kept.length, 0, failed);
    }
  });
