// The mail that a scene of the demo must lead to: awaited, looked into, told
import assert from 'node:assert/strict';
import { type Evidence, evidenceOf } from './evidence.ts';
import type { Arrival } from './mailboxes.ts';
import type { Network } from './network.ts';
import { until } from './processes.ts';
import { type Entry, kindInWords } from './timeline.ts';

/** In milliseconds, for all the mail of one scene. */
const PATIENCE = 60_000;

export interface Expected {
  readonly mailbox: string;
  readonly kind: string;
  /** The recipient that a delivery receipt is about. */
  readonly about?: string;
  /** Address of the provider that must have signed. */
  readonly signer: string;
  /** Throws unless the message proves what it should; else says what that is. */
  proves(evidence: Evidence): string;
}

/** What the demo is played on. */
export interface Stage {
  readonly network: Network;
  /** `at`: now, unless it happened before. */
  tell(entry: Entry, at?: Date): void;
  /** Called for each message as it comes, before anybody looks into it; resolves to the file to look into. */
  keep(arrival: Arrival): Promise<string>;
  readonly interrupted: AbortSignal;
}

/** Resolves once all of it came. Rejects when a message does not come, is not what it should be, or comes unasked. */
export async function receive(
  { network, tell, keep, interrupted }: Stage,
  arrived: () => Promise<readonly Arrival[]>,
  expected: readonly Expected[],
): Promise<void> {
  const missing = [...expected];

  const lookInto = async (arrival: Arrival) => {
    const { mailbox, kind, subject, at } = arrival;
    const file = await keep(arrival);
    try {
      const evidence = await evidenceOf(file, network.anchors);
      const { signer, certified } = evidence;
      const index = missing.findIndex(
        one =>
          one.mailbox === mailbox &&
          one.kind === kind &&
          (one.about ?? certified?.consegna) === certified?.consegna,
      );
      const [match] = index < 0 ? [] : missing.splice(index, 1);
      if (match === undefined) throw new Error('Nobody expected it');
      assert.equal(signer, match.signer, 'signer');
      if (certified !== null) assert.equal(certified.tipo, kind, 'tipo in daticert.xml');
      const findings = [
        `signed by ${signer} (openssl cms -verify)`,
        ...(certified === null ? [] : ['daticert.xml is valid (xmllint --dtdvalid)']),
        match.proves(evidence),
      ];
      tell({ type: 'message', mailbox, kind, subject, findings }, at);
    } catch (trouble) {
      const what = `${mailbox}: ${kindInWords(kind)}, "${subject}"`;
      throw new Error(`${what}\nin ${file}\n${(trouble as Error).message}`, { cause: trouble });
    }
  };

  const allCame = async () => {
    network.assertAlive();
    for (const arrival of await arrived()) await lookInto(arrival);
    return missing.length === 0;
  };

  try {
    await until('mail', PATIENCE, allCame, interrupted);
  } catch (trouble) {
    interrupted.throwIfAborted();
    const still = missing.map(({ mailbox, kind, about }) => {
      const whom = about === undefined ? '' : ` for ${about}`;
      return `still missing: ${mailbox}: ${kindInWords(kind)}${whom}`;
    });
    throw new Error([(trouble as Error).message, ...still].join('\n'), { cause: trouble });
  }
}
