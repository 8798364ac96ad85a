// The journal against a real file system: group commit, torn lines, full disks, what is owed and what is unknown
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type FileJournal, history, openJournal } from '../../src/adapters/file-journal.ts';
import { type Acceptance, type Debt, debtKey } from '../../src/pec/receipts.ts';
import { instant, type Mailbox, type Msgid, type PecMsgid } from '../../src/pec/values.ts';
import { type JournalLine, owe, verdictOf } from '../../src/points/custody.ts';
import { withFileLimit } from '../file-limit.ts';

let base: string;
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'pecd-journal-'));
});
after(() => rm(base, { recursive: true, force: true }));

let count = 0;
const freshDirectory = () => join(base, String(count++));

const at = instant(Date.UTC(2026, 2, 1, 12, 0, 0));
const today = '2026-03-01.jsonl';
const clock = { now: () => at as number };
const sender = 'mario@pec.alfa.example' as Mailbox;
const recipient = 'luisa@pec.beta.example' as Mailbox;

function acceptance(n: number): Acceptance {
  return {
    kind: 'accettazione',
    messageId: `receipt${n}@pec.alfa.example`,
    at,
    to: sender,
    about: {
      pecMsgid: `opec${n}@pec.alfa.example` as PecMsgid,
      sender,
      recipients: [{ address: recipient, kind: 'certificato' }],
      replyTo: sender,
      subject: 'Perché no? "\n\r\u2028\u2029\u0085',
    },
  };
}

function line(event: JournalLine['event'], n: number, more: Partial<JournalLine> = {}): JournalLine {
  return {
    at,
    event,
    point: event === 'sent' ? 'worker' : 'access',
    sender,
    recipients: [recipient],
    transaction: `t${n}`,
    ...more,
  };
}

function accepted(n: number): JournalLine {
  const { custody } = verdictOf([{ recipient, code: 250, text: 'ok' }]);
  assert.ok(custody !== undefined);
  return line('accepted', n, { debts: [owe(acceptance(n), custody)] });
}

const sent = (n: number) => line('sent', n, { paid: debtKey(acceptance(n)) });

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const owed = async (journal: FileJournal) => (await all<Debt>(journal.unsettled())).map(debtKey);

/** The class behind node's file handles: where its methods can be counted and made to fail. */
async function handles(): Promise<object> {
  await using sample = await open(base, 'r');
  return Object.getPrototypeOf(sample);
}

describe('write', () => {
  it('appends one line of JSON to the file of the UTC day, and proves it with the line', async () => {
    const directory = freshDirectory();
    await using journal = await openJournal(directory, clock);
    const given = accepted(1);
    const proof = await journal.write(given);
    assert.equal(proof.line, given);
    const text = await readFile(join(directory, today), 'utf8');
    assert.ok(text.endsWith('}\n'));
    assert.deepEqual(JSON.parse(text), {
      at: '2026-03-01T12:00:00Z',
      event: 'accepted',
      point: 'access',
      sender,
      recipients: [recipient],
      transaction: 't1',
      debts: [acceptance(1)],
    });
    assert.equal((await stat(join(directory, today))).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });

  it('begins a new file with the UTC day', async () => {
    const directory = freshDirectory();
    let now = Date.UTC(2026, 11, 31, 23, 59, 59, 999);
    await using journal = await openJournal(directory, { now: () => now });
    await journal.write(line('intent', 1));
    now += 1;
    await journal.write(line('intent', 2));
    assert.deepEqual(await readdir(directory), ['2026-12-31.jsonl', '2027-01-01.jsonl']);
  });

  it('a thousand lines at once share a few syncs, and keep their order', async t => {
    const directory = freshDirectory();
    await using journal = await openJournal(directory, clock);
    const datasync = t.mock.method((await handles()) as { datasync(): Promise<void> }, 'datasync');
    await Promise.all(Array.from({ length: 1000 }, (_, n) => journal.write(line('intent', n))));
    assert.ok(datasync.mock.callCount() <= 3, `${datasync.mock.callCount()} syncs`);
    const text = await readFile(join(directory, today), 'utf8');
    const transactions = text
      .trim()
      .split('\n')
      .map(each => JSON.parse(each).transaction);
    assert.deepEqual(
      transactions,
      Array.from({ length: 1000 }, (_, n) => `t${n}`),
    );
  });

  it('resolves after the sync of its own bytes, never before', async t => {
    const directory = freshDirectory();
    await using journal = await openJournal(directory, clock);
    const prototype = (await handles()) as { datasync(): Promise<void> };
    const original = prototype.datasync;
    const order: string[] = [];
    t.mock.method(prototype, 'datasync', async function (this: unknown) {
      order.push(`sync ${(await readFile(join(directory, today), 'utf8')).trim().split('\n').length}`);
      await original.call(this as never);
    });
    await Promise.all(
      [1, 2, 3].map(n => journal.write(line('intent', n)).then(() => order.push(`line ${n}`))),
    );
    assert.deepEqual(order, ['sync 1', 'line 1', 'sync 3', 'line 2', 'line 3']);
  });

  it('syncs the directory for a new file', async t => {
    const directory = freshDirectory();
    await using journal = await openJournal(directory, clock);
    const sync = t.mock.method((await handles()) as { sync(): Promise<void> }, 'sync');
    await journal.write(line('intent', 1));
    assert.equal(sync.mock.callCount(), 1);
    await journal.write(line('intent', 2));
    assert.equal(sync.mock.callCount(), 1);
  });

  it('is refused once the journal is closed; what was under way is finished', async () => {
    const directory = freshDirectory();
    const journal = await openJournal(directory, clock);
    const under = journal.write(line('intent', 1));
    await journal[Symbol.asyncDispose]();
    await under;
    await assert.rejects(journal.write(line('intent', 2)), { message: 'the journal is closed' });
  });
});

describe('a write that fails', () => {
  for (const [method, code] of [
    ['datasync', 'EIO'],
    ['appendFile', 'ENOSPC'],
  ] as const) {
    it(`${method} with ${code}: every line that shared it is rejected, the next one is written`, async t => {
      const directory = freshDirectory();
      await using journal = await openJournal(directory, clock);
      const failing = t.mock.method((await handles()) as Record<typeof method, () => Promise<void>>, method);
      const trouble = Object.assign(new Error(code), { code });
      failing.mock.mockImplementationOnce(() => Promise.reject(trouble), 1);
      const results = await Promise.allSettled([0, 1, 2, 3].map(n => journal.write(accepted(n))));
      assert.deepEqual(
        results.map(({ status }) => status),
        ['fulfilled', 'rejected', 'rejected', 'rejected'],
      );
      await journal.write(accepted(4));
      assert.ok((await owed(journal)).includes(debtKey(acceptance(4))));
    });
  }

  it('leaves a torn line behind on a full disk; the file stays readable', async () => {
    const directory = freshDirectory();
    const skipped: string[] = [];
    await using journal = await openJournal(directory, {
      ...clock,
      unreadable: (file, number) => skipped.push(`${file}:${number}`),
    });
    await journal.write(accepted(1));
    const { size } = await stat(join(directory, today));
    await withFileLimit(size + 50, async () => {
      await assert.rejects(journal.write(accepted(2)), { code: 'EFBIG' });
      assert.equal((await stat(join(directory, today))).size, size + 50);
      await assert.rejects(journal.write(accepted(3)), { code: 'EFBIG' });
    });
    await journal.write(accepted(4));
    assert.deepEqual(await owed(journal), [debtKey(acceptance(1)), debtKey(acceptance(4))]);
    assert.ok(skipped.includes(`${today}:2`));
  });
});

describe('opening', () => {
  it('ends the line that a crash tore', async () => {
    const directory = freshDirectory();
    await (await openJournal(directory, clock))[Symbol.asyncDispose]();
    await writeFile(join(directory, today), '{"at":"2026-03-01T11:59:59Z","eve');
    await using journal = await openJournal(directory, clock);
    await journal.write(accepted(1));
    const [torn, whole, end] = (await readFile(join(directory, today), 'utf8')).split('\n');
    assert.equal(torn, '{"at":"2026-03-01T11:59:59Z","eve');
    assert.equal(JSON.parse(whole ?? '').transaction, 't1');
    assert.equal(end, '');
  });

  it('adds to a whole file without a blank line', async () => {
    const directory = freshDirectory();
    for (const n of [1, 2]) {
      await using journal = await openJournal(directory, clock);
      await journal.write(line('intent', n));
    }
    assert.equal((await readFile(join(directory, today), 'utf8')).split('\n').length, 3);
  });
});

describe('unsettled', () => {
  it('is every debt without its sent line, oldest first, over all days', async () => {
    const directory = freshDirectory();
    let now = at as number;
    await using journal = await openJournal(directory, { now: () => now });
    for (const n of [1, 2]) await journal.write(accepted(n));
    now += 24 * 3600 * 1000;
    for (const n of [3, 4]) await journal.write(accepted(n));
    for (const n of [1, 4]) await journal.write(sent(n));
    assert.deepEqual(await all(journal.unsettled()), [acceptance(2), acceptance(3)]);
  });

  it('a debt found again is one debt, and paid if it was ever paid', async () => {
    await using journal = await openJournal(freshDirectory(), clock);
    for (const each of [accepted(1), sent(1), accepted(1), accepted(2), accepted(2)])
      await journal.write(each);
    assert.deepEqual(await all(journal.unsettled()), [acceptance(2)]);
  });

  it('does not read again what is long settled, and always what holds an open debt', async () => {
    const directory = freshDirectory();
    const skipped = new Set<string>();
    let now = at as number;
    const day = (days: number) => {
      now = at + days * 24 * 3600 * 1000;
    };
    await using journal = await openJournal(directory, {
      now: () => now,
      unreadable: file => skipped.add(file),
    });
    for (const [n, days] of [0, 1, 40].entries()) {
      day(days);
      await journal.write(accepted(n));
    }
    await journal.write(sent(0));
    assert.deepEqual(await all(journal.unsettled()), [acceptance(1), acceptance(2)]);
    for (const file of await readdir(directory)) await appendFile(join(directory, file), 'torn');
    assert.deepEqual(await all(journal.unsettled()), [acceptance(1), acceptance(2)]);
    assert.deepEqual([...skipped], ['2026-03-02.jsonl', '2026-04-10.jsonl']);
  });

  it('is known to the next process, and without any file there is none', async () => {
    const directory = freshDirectory();
    {
      await using journal = await openJournal(directory, clock);
      assert.deepEqual(await owed(journal), []);
      await journal.write(accepted(1));
    }
    await using journal = await openJournal(directory, clock);
    assert.deepEqual(await owed(journal), [debtKey(acceptance(1))]);
  });

  it('leaves out lines that are not the journal’s, says which, and reads no other file', async () => {
    const directory = freshDirectory();
    const skipped: string[] = [];
    await using journal = await openJournal(directory, {
      ...clock,
      unreadable: (file, number) => skipped.push(`${file}:${number}`),
    });
    await journal.write(accepted(1));
    await appendFile(
      join(directory, today),
      'null\n{"at":"never","event":"sent"}\n{"event":"sent"}\n[]\n\n{"at":',
    );
    await writeFile(join(directory, 'notes.txt'), 'not a journal');
    assert.deepEqual(await owed(journal), [debtKey(acceptance(1))]);
    assert.deepEqual(
      [...new Set(skipped)],
      [2, 3, 4, 5, 7].map(number => `${today}:${number}`),
    );
  });
});

describe('orphans', () => {
  it('are the intents whose transaction has no other line', async () => {
    await using journal = await openJournal(freshDirectory(), clock);
    for (const each of [
      line('intent', 1),
      line('intent', 2),
      line('intent', 3),
      accepted(1),
      line('refused', 3),
    ]) {
      await journal.write(each);
    }
    assert.deepEqual(await all(journal.orphans()), [line('intent', 2)]);
  });
});

describe('history', () => {
  const pecMsgid = (n: number) => `opec${n}@pec.alfa.example` as PecMsgid;
  const msgid = '<one@client.example>' as Msgid;
  const lines = [
    line('accepted', 1, { pecMsgid: pecMsgid(1), msgid }),
    line('accepted', 2, { pecMsgid: pecMsgid(2), msgid }),
    line('accepted', 3, { pecMsgid: pecMsgid(3), msgid: '<two@client.example>' as Msgid }),
    line('delivered', 4, { pecMsgid: pecMsgid(2) }),
    line('enveloped', 5, { msgid }),
    line('intent', 6),
  ];
  async function written(): Promise<string> {
    const directory = freshDirectory();
    let now = at as number;
    await using journal = await openJournal(directory, { now: () => now });
    for (const each of lines) {
      await journal.write(each);
      now += 24 * 3600 * 1000;
    }
    return directory;
  }

  for (const { id, found } of [
    { id: 'opec1@pec.alfa.example', found: [1] },
    { id: 'opec2@pec.alfa.example', found: [2, 4] },
    { id: 'one@client.example', found: [1, 2, 4, 5] },
    { id: '<one@client.example>', found: [] },
    { id: 'OPEC1@pec.alfa.example', found: [] },
    { id: 'undefined', found: [] },
  ]) {
    it(`of ${id}`, async () => {
      const expected = lines.filter((_, n) => found.includes(n + 1));
      assert.deepEqual(await all(history(await written(), id)), expected);
    });
  }

  it('reads over torn lines and names them, and writes nothing', async () => {
    const directory = await written();
    await appendFile(join(directory, today), '{"at":');
    const before = await readdir(directory);
    const skipped: string[] = [];
    const found = await all(
      history(directory, 'opec2@pec.alfa.example', (file, number) => skipped.push(`${file}:${number}`)),
    );
    assert.equal(found.length, 2);
    assert.deepEqual(skipped, [`${today}:2`]);
    assert.deepEqual(await readdir(directory), before);
    await assert.rejects(all(history(freshDirectory(), 'a')), { code: 'ENOENT' });
  });
});
