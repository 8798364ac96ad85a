// The doors on ports in memory: what each keeper holds, in what order, and any port made to fail at any call
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { makePki } from '../../src/demo/pki.ts';
import { directoryOf, type Provider } from '../../src/pec/directory.ts';
import { type Debt, debtKey, type MessageFacts } from '../../src/pec/receipts.ts';
import type { Heard, Hearing } from '../../src/pec/tracking.ts';
import {
  type Instant,
  instant,
  type Mailbox,
  mailboxKey,
  type PecMsgid,
  parseDomain,
  parseMailbox,
  parsePecMsgid,
} from '../../src/pec/values.ts';
import { type JournalLine, journaled, type KeeperAnswer } from '../../src/points/custody.ts';
import type { Events } from '../../src/points/events.ts';
import type { DeliverOptions, Origin, Session, Spooled, Trust } from '../../src/points/ports.ts';
import { pemSigner, type Signer } from '../../src/smime/sign.ts';

export const mailbox = (text: string): Mailbox => parseMailbox(text) ?? assert.fail(text);
const domain = (text: string) => parseDomain(text) ?? assert.fail(text);

export interface Party {
  readonly issuer: { readonly name: string; readonly address: Mailbox };
  readonly domain: ReturnType<typeof domain>;
  readonly signer: Signer;
  readonly provider: Provider;
}

/** Two providers, Alfa and Beta, who trust one root. Their keys go with the test file. */
export async function twoProviders(): Promise<{ alfa: Party; beta: Party; trust: Trust }> {
  const folder = await mkdtemp(join(tmpdir(), 'pecd-points-'));
  after(() => rm(folder, { recursive: true }));
  const names = ['alfa', 'beta'];
  const pki = await makePki(folder, {
    domains: names.map(name => `pec.${name}.example`),
    organizations: names,
  });
  const party = async (name: string): Promise<Party> => {
    const address = mailbox(`posta-certificata@pec.${name}.example`);
    const { certificate, key, der } = await pki.issue({
      file: name,
      organization: name,
      address,
      algorithm: 'rsa',
    });
    const managed = domain(`pec.${name}.example`);
    const hash = createHash('sha1').update(der).digest('hex');
    return {
      issuer: { name, address },
      domain: managed,
      signer: pemSigner(await readFile(certificate, 'utf8'), await readFile(key, 'utf8')),
      provider: {
        name,
        mailReceipt: mailbox(`ricevute@pec.${name}.example`),
        domains: [managed],
        certificates: [{ hash, der, addresses: [address] }],
      },
    };
  };
  const [alfa, beta] = [await party('alfa'), await party('beta')];
  const root = await readFile(pki.anchors);
  const der = Buffer.from(String(root).replace(/-----[^-]*-----|\s/g, ''), 'base64');
  const directory = directoryOf([alfa.provider, beta.provider]);
  return { alfa, beta, trust: { directory, anchors: [der], revocation: { mode: 'off', lists: [] } } };
}

export const session: Session = {
  id: 's1',
  login: 'anna@pec.alfa.example',
  gone: new AbortController().signal,
};

/** What a keeper took: only what was followed by the final dot. */
export interface Kept {
  readonly from: Mailbox | null;
  readonly to: readonly Mailbox[];
  readonly bytes: Buffer;
}

/** Ports that remember. `failing(n)` makes the n-th call of any port fail, counted from 1. */
export function world(party: Party, trust: Trust, began: Instant = instant(Date.now())) {
  let at = began;
  const kept: Kept[] = [];
  const lines: JournalLine[] = [];
  const booked = new Map<string, Debt>();
  const spooled = new Map<string, Buffer>();
  const open = new Set<string>();
  const tracked = new Map<
    PecMsgid,
    { about: MessageFacts; heard: Map<string, Partial<Record<Heard, Instant>>> }
  >();
  const viruses = new Map<string, { bytes: Buffer; facts: Readonly<Record<string, unknown>> }>();
  let virus: string | undefined;
  let indispensable: readonly Mailbox[] = [];
  let breaking: Error | undefined;
  const calls: string[] = [];
  let failAt = 0;
  let drawn = 0;
  let answers: (recipient: Mailbox) => Omit<KeeperAnswer, 'recipient'> = () => ({ code: 250, text: 'ok' });

  const call = (name: string) => {
    calls.push(name);
    if (calls.length === failAt) throw new Error(`${name} fails`);
  };
  const origin: Origin = {
    now: () => at,
    pecMsgid: () =>
      parsePecMsgid(`pec${++drawn}x${Math.random().toString(36).slice(2)}@${party.domain}`) ?? assert.fail(),
    messageId: () => `r${++drawn}x${Math.random().toString(36).slice(2)}@${party.domain}`,
  };
  const troubles: unknown[] = [];
  const events = new Proxy({} as Events, {
    get: (_, name) => (_where: string, trouble: unknown) => name === 'trouble' && troubles.push(trouble),
  });
  return {
    kept,
    lines,
    booked,
    spooled,
    open,
    calls,
    troubles,
    tracked,
    viruses,
    /** From now on the scanner finds this in every message. */
    infect(name: string) {
      virus = name;
    },
    antivirus: {
      scanner: {
        async scan() {
          call('scanner.scan');
          return {
            async push() {
              call('scanner.push');
            },
            async verdict() {
              call('scanner.verdict');
              return virus;
            },
            async [Symbol.asyncDispose]() {},
          };
        },
      },
      store: {
        async store(
          name: string,
          message: AsyncIterable<Buffer>,
          facts: Readonly<Record<string, unknown>>,
        ): Promise<void> {
          call('virusStore.store');
          const chunks: Buffer[] = [];
          for await (const chunk of message) chunks.push(chunk);
          viruses.set(name, { bytes: Buffer.concat(chunks), facts });
        },
      },
    },
    /** The keeper answers with this trouble instead of a reply. */
    breaking(trouble: Error) {
      breaking = trouble;
    },
    /** It is this time from now on. */
    clock(now: Instant) {
      at = now;
    },
    /** What the keeper was last told not to go without. */
    get indispensable() {
      return indispensable;
    },
    failing(n: number) {
      failAt = n;
    },
    answering(how: typeof answers) {
      answers = how;
    },
    signer: party.signer,
    trust,
    origin,
    events,
    keeper: {
      async deliver(
        { from, to }: { from: Mailbox | null; to: readonly Mailbox[] },
        message: AsyncIterable<Buffer>,
        options: DeliverOptions = {},
      ) {
        indispensable = options.indispensable ?? [];
        call('keeper.deliver');
        const chunks: Buffer[] = [];
        for await (const chunk of message) chunks.push(chunk);
        kept.push({ from, to, bytes: Buffer.concat(chunks) });
        call('keeper.reply');
        if (breaking !== undefined) throw breaking;
        return to.map(recipient => ({ recipient, ...answers(recipient) }));
      },
    },
    journal: {
      async write(line: JournalLine) {
        call('journal.write');
        lines.push(line);
        return journaled(line);
      },
    },
    debts: {
      async ready() {
        call('debts.ready');
      },
      async book(debts: readonly Debt[]) {
        call('debts.book');
        for (const debt of debts) if (!booked.has(debtKey(debt))) booked.set(debtKey(debt), debt);
      },
    },
    waits: {
      async track(about: MessageFacts) {
        call('waits.track');
        if (!tracked.has(about.pecMsgid)) tracked.set(about.pecMsgid, { about, heard: new Map() });
      },
      async note({ pecMsgid, heard, recipients }: Hearing, when: Instant) {
        call('waits.note');
        const known = tracked.get(pecMsgid)?.heard;
        for (const recipient of recipients) {
          const key = mailboxKey(recipient);
          known?.set(key, { [heard]: when, ...known.get(key) });
        }
      },
      async of(pecMsgid: PecMsgid) {
        call('waits.of');
        return tracked.get(pecMsgid);
      },
    },
    mailboxes: {
      async isOpen(address: Mailbox) {
        call('mailboxes.isOpen');
        return open.has(address);
      },
    },
    spool: {
      async draft() {
        call('spool.draft');
        const chunks: Buffer[] = [];
        return {
          async append(chunk: Buffer) {
            chunks.push(chunk);
          },
          async *read() {
            yield* chunks;
          },
          async [Symbol.asyncDispose]() {},
        };
      },
      async take(bytes: AsyncIterable<Buffer>, tap: (chunk: Buffer) => void): Promise<Spooled> {
        call('spool.take');
        const chunks: Buffer[] = [];
        for await (const chunk of bytes) {
          tap(chunk);
          chunks.push(chunk);
        }
        const whole = Buffer.concat(chunks);
        let disposed = false;
        return {
          size: whole.length,
          async *read(start = 0, end = whole.length) {
            assert.ok(!disposed, 'read after it was disposed');
            yield whole.subarray(start, end);
          },
          async keep(name: string) {
            call('spool.keep');
            assert.ok(!disposed, 'kept after it was disposed');
            spooled.set(name, whole);
          },
          async [Symbol.asyncDispose]() {
            disposed = true;
          },
        };
      },
      readKept(name: string, start: number, end: number) {
        const whole = spooled.get(name);
        if (whole === undefined) throw Object.assign(new Error(`no ${name}`), { code: 'ENOENT' });
        return bytes(whole.subarray(start, end));
      },
      async release(name: string) {
        spooled.delete(name);
      },
    },
  };
}

export type World = ReturnType<typeof world>;

/** The bytes in chunks of `size`. */
export async function* bytes(text: string | Buffer, size = 1000): AsyncIterable<Buffer> {
  const whole = Buffer.from(text);
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}
