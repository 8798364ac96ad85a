// Every formal check of RFC 6109 §3.1.1 at a real access point: what the client hears, and the notice that its user gets.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../../src/demo/folders.ts';
import { newMail } from '../../src/demo/mailboxes.ts';
import { type Network, startNetwork } from '../../src/demo/network.ts';
import { until } from '../../src/demo/processes.ts';
import { readMail } from './mail.ts';
import { ANNA, BRUNO, inData, submit } from './submission.ts';

let network: Network;
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
before(async () => {
  const folder = stack.use(await temporaryFolder('pecd-formal'));
  network = stack.use(await startNetwork(folder.path));
});

const CARLA = 'carla@pec.beta.example';
const good = { 'Message-ID': '<c@pec.alfa.example>', From: ANNA, To: BRUNO, Subject: 'Prova' };

function mail(changes: Readonly<Record<string, string | undefined>>, extra = ''): string {
  const fields = Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined);
  return `${extra}${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\nTesto\r\n`;
}

const conforming: [string, string, string[]][] = [
  ['a group', mail({ To: `Amici: ${BRUNO};` }), [BRUNO]],
  ['a display name with a comma, quoted', mail({ From: `"Rossi, Anna" <${ANNA}>` }), [BRUNO]],
  ['an encoded display name', mail({ To: `=?utf-8?q?Bru=C3=B2?= <${BRUNO}>` }), [BRUNO]],
  [
    'folded and commented addresses',
    mail({ To: `(a)\r\n ${BRUNO} (b,\r\n\t(c))`, Cc: CARLA }),
    [BRUNO, CARLA],
  ],
  ['another case', mail({ From: ANNA.toUpperCase() }), [BRUNO]],
  ['no Message-ID', mail({ 'Message-ID': undefined }), [BRUNO]],
  ['no Date, an empty Bcc', mail({ Bcc: '' }), [BRUNO]],
  ['a recipient given twice', mail({}), [BRUNO, BRUNO]],
];
for (const [name, raw, to] of conforming)
  test(`§3.1.1 accepted: ${name}`, async () =>
    assert.match(await submit(network, raw, to), /^250 2\.0\.0 Ok: pec/));

const exceptions: [string, string, string[], RegExp][] = [
  ['no From', mail({ From: undefined }), [BRUNO], /From holds no valid address/],
  ['From without an address', mail({ From: 'Anna' }), [BRUNO], /From holds no valid address/],
  ['two authors', mail({ From: `${ANNA}, x@pec.alfa.example` }), [BRUNO], /From names several authors/],
  ['another author', mail({ From: 'x@pec.alfa.example' }), [BRUNO], /is not the author in From/],
  ['no To', mail({ To: undefined, Cc: BRUNO }), [BRUNO], /To holds no valid address/],
  [
    'a comma in a bare display name',
    mail({ To: `Bianchi, Bruno <${BRUNO}>` }),
    [BRUNO],
    /To holds no valid address/,
  ],
  ['a recipient nowhere named', mail({}), [BRUNO, CARLA], /recipient carla@.* is in neither To nor Cc/],
  [
    'a named one who gets nothing',
    mail({ Cc: CARLA }),
    [BRUNO],
    /carla@.* is in To or Cc, but is no recipient/,
  ],
  ['Bcc', mail({ Bcc: CARLA }), [BRUNO], /Bcc holds a value/],
  ['two Message-IDs', mail({}, 'Message-Id: <d@x.example>\r\n'), [BRUNO], /Message-ID is given twice/],
  ['two Subjects', mail({}, 'SUBJECT: x\r\n'), [BRUNO], /Subject is given twice/],
  ['two From fields', mail({}, `From: ${ANNA}\r\n`), [BRUNO], /From is given twice/],
  ['two Dates', mail({}, 'Date: x\r\nDate: y\r\n'), [BRUNO], /Date is given twice/],
  ['8-bit bytes in the header', mail({ Subject: 'Città' }), [BRUNO], /bytes outside ASCII/],
  ['a line that is no field', mail({}, 'nonsense\r\n'), [BRUNO], /a header line is no field/],
];
for (const [name, raw, to, said] of exceptions)
  test(`§3.1.1 formal exception: ${name}`, async () => {
    await assert.rejects(submit(network, raw, to), error => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /550 5\.6\.0 Formal exception: /);
      assert.match(error.message, said);
      return true;
    });
  });

const impossible: [string, string, RegExp][] = [
  ['a bare LF', 'bare\nlf', /^550 5\.6\.0 .*bare LF/],
  ['a bare CR', 'bare\rcr', /^550 5\.6\.0 .*bare CR/],
  ['a NUL', 'nu\0l', /^550 5\.6\.0 .*NUL/],
  ['a line over 998 bytes', 'x'.repeat(999), /^550 5\.6\.0 .*line over 998/],
  ['a header over its limit', '', /^550 5\.6\.0 Header over the limit/],
];
for (const [name, line, said] of impossible)
  test(`bytes that are no mail: ${name}`, async () => {
    const { socket, say } = await inData(network);
    const long = line === '' ? `X: ${'y'.repeat(900)}\r\n`.repeat(300) : '';
    socket.write(mail({}, long));
    assert.match(await say(`${line}\r\n.`), said);
    socket.destroy();
  });

test('§3.1.2 each formal exception earned one notice, and nothing else did', async () => {
  const notices: string[] = [];
  const arrived = newMail(new Map([[ANNA, network.alfa.maildir(ANNA)]]));
  const accepted: string[] = [];
  await until('all notices and acceptances', 60_000, async () => {
    for (const { kind, file } of await arrived()) {
      if (kind === 'accettazione') accepted.push(file);
      if (kind !== 'non-accettazione') continue;
      const { text = '', original } = await readMail(file, network.anchors);
      assert.equal(original, undefined);
      notices.push(
        /a causa di ([\s\S]*)\.\nIl messaggio non è stato accettato/.exec(text)?.[1] ?? assert.fail(text),
      );
    }
    return notices.length >= exceptions.length && accepted.length >= conforming.length;
  });
  assert.equal(notices.length, exceptions.length, notices.join('\n'));
  assert.equal(accepted.length, conforming.length);
});
