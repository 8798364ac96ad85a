// Messages under the eyes of the virus scanner, and the keeping of infected ones. RFC 6109 §2.2.4, §3.1.3, §3.2.3, §5.4
import type { Scanner, Spool, VirusStore } from './ports.ts';

/** The scanner and where its finds are kept: present together, or not at all. */
export interface Antivirus {
  readonly scanner: Scanner;
  readonly store: VirusStore;
}

/** A message that is scanned while it passes, and kept on disk in case it is infected. */
export interface Inspection extends AsyncDisposable {
  push(chunk: Buffer): Promise<void>;
  /** The name of the virus, or undefined. Rejects if the scanner cannot tell. */
  verdict(): Promise<string | undefined>;
  /** The message, for the virus store. */
  read(): AsyncIterable<Buffer>;
}

export async function inspect({ scanner }: Antivirus, spool: Spool): Promise<Inspection> {
  await using opening = new AsyncDisposableStack();
  const scan = opening.use(await scanner.scan());
  const draft = opening.use(await spool.draft());
  const open = opening.move();
  return {
    async push(chunk) {
      await Promise.all([scan.push(chunk), draft.append(chunk)]);
    },
    verdict: () => scan.verdict(),
    read: () => draft.read(),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Scans a message that is on disk already. */
export async function virusIn(
  antivirus: Antivirus | undefined,
  message: AsyncIterable<Buffer>,
): Promise<string | undefined> {
  if (antivirus === undefined) return undefined;
  await using scan = await antivirus.scanner.scan();
  for await (const chunk of message) await scan.push(chunk);
  return await scan.verdict();
}
