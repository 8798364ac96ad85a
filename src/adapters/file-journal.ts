// The journal on disk: the legal log (§2.3), and the write-ahead log of what we owe. JSON lines, one file a UTC day
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Debt, debtKey } from '../pec/receipts.ts';
import type { Hearing } from '../pec/tracking.ts';
import { type Instant, instant } from '../pec/values.ts';
import { type Journaled, type JournalLine, journaled } from '../points/custody.ts';
import type { Journal } from '../points/ports.ts';

/** A line read back: a debt that was journaled is a plain one. */
export type JournalRecord = Omit<JournalLine, 'debts'> & { readonly debts?: readonly Debt[] };

export interface FileJournal extends Journal, AsyncDisposable {
  /** Debts journaled and not yet paid, oldest first. */
  unsettled(): AsyncIterable<Debt>;
  /** What was heard of messages of ours, of as many days as the last `unsettled` read. */
  hearings(): AsyncIterable<{ readonly hearing: Hearing; readonly at: Instant }>;
  /** Intents without an outcome: nobody knows whether the keeper has the message. Those under way are among them. */
  orphans(): AsyncIterable<JournalRecord>;
}

export interface JournalOptions {
  /** Milliseconds since 1970: names the day's file. */
  readonly now?: () => number;
  readonly unreadable?: Unreadable;
}

/** Hears of every line that cannot be read; `number` counts from 1. It is left out. */
export type Unreadable = (file: string, number: number) => void;

interface Waiting {
  readonly line: JournalLine;
  resolve(proof: Journaled): void;
  reject(trouble: unknown): void;
}

/** In milliseconds: nobody delivers a message again so long after the first time. */
const REDELIVERY = 14 * 24 * 3600 * 1000;

const DAY_FILE = /^\d{4}-\d\d-\d\d\.jsonl$/;

/**
 * Opens the journal in `directory` (made if missing). Lines written while an fdatasync is under way share the next one.
 * A write that fails rejects every line that shared it; such a line may be in the file all the same, as after a crash.
 */
export async function openJournal(directory: string, options: JournalOptions = {}): Promise<FileJournal> {
  const { now = Date.now, unreadable = () => {} } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let file: { readonly name: string; readonly handle: FileHandle } | undefined;
  let waiting: Waiting[] = [];
  let committing: Promise<void> | undefined;
  let closed = false;
  /** The file to begin with when debts are looked for: all those before it are settled for good. */
  let since = '';

  async function commit(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      try {
        await append(group.map(({ line }) => serialized(line)).join(''));
        for (const { line, resolve } of group) resolve(journaled(line));
      } catch (trouble) {
        // After a failed write or fsync nothing is known of this handle: the next group starts with a new one.
        await close().catch(() => {});
        for (const { reject } of group) reject(trouble);
      }
    }
    committing = undefined;
  }

  async function append(text: string): Promise<void> {
    const name = fileOf(now());
    if (file?.name !== name) {
      await close();
      file = { name, handle: await openDay(directory, name) };
    }
    await file.handle.appendFile(text);
    await file.handle.datasync();
  }

  async function close(): Promise<void> {
    const old = file;
    file = undefined;
    await old?.handle.close();
  }

  return {
    write(line) {
      if (closed) return Promise.reject(new Error('the journal is closed'));
      const { promise, resolve, reject } = Promise.withResolvers<Journaled>();
      waiting.push({ line, resolve, reject });
      committing ??= commit();
      return promise;
    },

    async *unsettled() {
      const open = new Map<string, { readonly debt: Debt; readonly name: string }>();
      for await (const { name, record } of records(directory, unreadable, since)) {
        for (const debt of record.debts ?? []) {
          const key = debtKey(debt);
          if (!open.has(key)) open.set(key, { debt, name });
        }
        if (record.paid !== undefined) open.delete(record.paid);
      }
      // Once more, because a debt found again (a redelivery) after it was paid has its sent line before it.
      if (open.size > 0) {
        for await (const { record } of records(directory, unreadable, since))
          if (record.paid !== undefined) open.delete(record.paid);
      }
      const [oldest] = open.values();
      const recent = fileOf(now() - REDELIVERY);
      since = oldest !== undefined && oldest.name < recent ? oldest.name : recent;
      for (const { debt } of open.values()) yield debt;
    },

    async *hearings() {
      for await (const { record } of records(directory, unreadable, since)) {
        const { at, debts = [], heard } = record;
        if (heard !== undefined) yield { hearing: heard, at };
        for (const debt of debts) {
          if (debt.kind !== 'errore-consegna') continue;
          const { about, kind, recipient } = debt;
          yield { hearing: { pecMsgid: about.pecMsgid, heard: kind, recipients: [recipient] }, at };
        }
      }
    },

    async *orphans() {
      const open = new Map<string, JournalRecord>();
      for await (const { record } of records(directory, unreadable)) {
        if (record.event === 'intent') open.set(record.transaction, record);
        else open.delete(record.transaction);
      }
      yield* open.values();
    },

    async [Symbol.asyncDispose]() {
      closed = true;
      await committing;
      await close();
    },
  };
}

/**
 * What the journal in `directory` says of one message, oldest first. `id`, without angle brackets, is its PEC msgid, or the
 * client's own Message-ID, which may stand for several messages. Nothing is written: a running daemon is not disturbed.
 */
export async function* history(
  directory: string,
  id: string,
  unreadable: Unreadable = () => {},
): AsyncIterable<JournalRecord> {
  const pecMsgids = new Set([id]);
  for await (const { record } of records(directory, unreadable)) {
    const { pecMsgid, msgid } = record;
    if (msgid === `<${id}>` && pecMsgid !== undefined) pecMsgids.add(pecMsgid);
    if (msgid === `<${id}>` || (pecMsgid !== undefined && pecMsgids.has(pecMsgid))) yield record;
  }
}

/** Every line of the files from `first` on, each with the name of its file. */
async function* records(
  directory: string,
  unreadable: Unreadable,
  first = '',
): AsyncIterable<{ readonly name: string; readonly record: JournalRecord }> {
  const names = (await readdir(directory)).filter(name => DAY_FILE.test(name) && name >= first);
  for (const name of names.sort()) {
    await using handle = await open(join(directory, name), 'r');
    let number = 0;
    for await (const text of handle.readLines()) {
      number += 1;
      const record = parsed(text);
      if (record !== undefined) yield { name, record };
      else if (text !== '') unreadable(name, number);
    }
  }
}

/** The file of the UTC day of `time`, in milliseconds since 1970. */
function fileOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 10)}.jsonl`;
}

/** The day's file, ready to append: its directory entry is on disk, and a line that a failure tore is ended. */
async function openDay(directory: string, name: string): Promise<FileHandle> {
  const handle = await open(join(directory, name), 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(size - 1, 0));
    if (size > 0 && buffer[0] !== 0x0a) await handle.appendFile('\n');
    await using entry = await open(directory, 'r');
    await entry.sync();
    return handle;
  } catch (trouble) {
    await handle.close();
    throw trouble;
  }
}

/** One line of the file, with its line feed. Times are UTC: `2026-03-01T12:00:00Z`. */
function serialized({ at, debts, ...rest }: JournalLine): string {
  const time = new Date(at).toISOString().replace('.000Z', 'Z');
  const plain = debts === undefined ? {} : { debts: debts.map(({ debt }) => debt) };
  // Readers of lines take these two for line ends; JSON leaves them as they are.
  const json = JSON.stringify({ at: time, ...rest, ...plain }).replace(/[\u2028\u2029]/g, escaped);
  return `${json}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16)}`;
}

function parsed(text: string): JournalRecord | undefined {
  try {
    const { at, ...rest } = JSON.parse(text) as Omit<JournalRecord, 'at'> & { at: string };
    const time: Instant = instant(Date.parse(at));
    return Number.isNaN(time) || typeof rest.event !== 'string' ? undefined : { ...rest, at: time };
  } catch {
    return undefined;
  }
}
