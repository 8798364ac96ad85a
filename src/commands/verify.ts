// `pecd verify`: what a received message is, and how that was found. RFC 6109 §2.2.2
import { createReadStream } from 'node:fs';
import { openTrust } from '../adapters/trust-store.ts';
import { plainly, StartupError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { withCrlf } from '../mime/mail-file.ts';
import { signedReader } from '../mime/signed-reader.ts';
import { classify, type Evidence } from '../pec/admission.ts';
import type { CertificationData } from '../pec/certification-data.ts';
import { type Instant, instant } from '../pec/values.ts';
import { gather } from '../points/reception.ts';
import { UsageError } from './exit-codes.ts';

export interface VerifyOptions {
  readonly file: string;
  /** Print JSON instead of text. */
  readonly json: boolean;
  /** Where anchors and directory come from unless they are given. */
  readonly config?: Config;
  /** ISO 8601. */
  readonly at?: string;
  /** Paths. */
  readonly trust?: string;
  readonly directory?: string;
}

const HEADER_SIZE = 1024 * 1024;

/** Prints the verdict. Resolves with 0 only if the message is a valid PEC message, else with 1. */
export async function verify({ file, json, config, ...options }: VerifyOptions): Promise<0 | 1> {
  const anchors = options.trust ?? config?.trust.anchors;
  const directory = options.directory ?? config?.directory.source;
  if (anchors === undefined || directory === undefined)
    throw new UsageError('give --trust and --directory, or a configuration');
  // Files that are given by hand come without revocation lists, unless there is a configuration that names some.
  const { revocation, crls } = config?.trust ?? { revocation: 'off', crls: [] };
  const trust = await openTrust({ anchors, directory, revocation, crls }).catch(cause => {
    throw new StartupError(78, plainly(cause), { cause });
  });
  const reader = signedReader({ headerSize: HEADER_SIZE });
  for await (const chunk of withCrlf(createReadStream(file))) reader.push(chunk);
  const evidence = gather(reader.end(), trust, instantOf(options.at));
  const received = classify(evidence, undefined, trust.directory);
  const { certification } = evidence;
  const readable = typeof certification === 'object' ? certification : undefined;
  const verdict: Verdict = {
    class: received.class,
    ...(received.class === 'receipt' && { kind: received.kind }),
    ...('provider' in received && { provider: received.provider.name }),
    ...signatureWords(evidence.signature),
    ...(readable && { pecMsgid: readable.about.pecMsgid }),
    errors: [
      ...('reasons' in received ? received.reasons : []),
      ...evidence.problems,
      ...(typeof certification === 'string' ? [certification] : []),
    ],
    ...(readable && { certification: readable }),
  };
  process.stdout.write(json ? `${JSON.stringify(verdict)}\n` : asText(verdict));
  return received.class === 'ordinary' || received.class === 'anomalous' ? 1 : 0;
}

function signatureWords(signature: Evidence['signature']): { signature: string; chain?: string } {
  switch (signature.state) {
    case 'absent':
      return { signature: 'absent' };
    case 'broken':
      return { signature: `broken: ${signature.why}` };
    case 'good':
      return { signature: 'good', chain: signature.path.ok ? 'good' : signature.path.reason };
  }
}

function instantOf(at: string | undefined): Instant {
  const milliseconds = at === undefined ? Date.now() : Date.parse(at);
  if (Number.isNaN(milliseconds)) throw new UsageError(`--at ${at}: not a time, write 2026-01-31T12:00:00Z`);
  return instant(milliseconds);
}

interface Verdict {
  readonly class: string;
  readonly kind?: string;
  readonly provider?: string;
  readonly signature: string;
  readonly chain?: string;
  readonly pecMsgid?: string;
  readonly errors: readonly string[];
  readonly certification?: CertificationData;
}

/** One line for each fact; what is certified is set in. */
function asText({ errors, certification, ...facts }: Verdict): string {
  const lines = [
    ...Object.entries(facts).map(([name, value]) => `${name}: ${value}`),
    ...errors.map(error => `error: ${error}`),
  ];
  if (certification !== undefined) {
    const { about, at, tipo, provider, consegna, extended } = certification;
    lines.push(
      `certified as ${tipo} by ${provider}, ${new Date(at).toISOString()}`,
      `  from ${about.sender}`,
      ...about.recipients.map(({ address, kind }) => `  to ${address} (${kind})`),
      ...(about.subject === undefined ? [] : [`  subject ${JSON.stringify(about.subject)}`]),
      ...(consegna === undefined ? [] : [`  about ${consegna}`]),
      ...(extended === undefined ? [] : [`  error ${extended}`]),
    );
  }
  return `${lines.join('\n')}\n`;
}
