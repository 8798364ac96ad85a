// `pecd wrap`: the transport envelope that the access point would make of a message, to standard output
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config/schema.ts';
import { loadLive } from '../live.ts';
import { withCrlf } from '../mime/mail-file.ts';
import { originOf } from '../origin.ts';
import { domainOf, parseMailbox } from '../pec/values.ts';
import { readSubmission, wrapSubmission } from '../points/access-point.ts';
import { Refusal } from '../points/custody.ts';
import { NotAccepted } from '../points/non-acceptance.ts';
import { UsageError } from './exit-codes.ts';

export interface WrapOptions {
  readonly config: Config;
  readonly file: string;
  readonly from: string;
  readonly to: readonly string[];
}

/** Signs with the configured key; sends nothing, journals nothing. Resolves with 1 if the message would be refused: then it says why. */
export async function wrap({ config, file, from, to }: WrapOptions): Promise<0 | 1> {
  const { signer, trust } = await loadLive(config);
  const { provider, limits, access } = config;
  const policy = {
    headerSize: limits.headerSize,
    maxSizeTimesRecipients: access?.maxSizeTimesRecipients ?? Number.MAX_SAFE_INTEGER,
  };
  const world = { trust, origin: originOf(domainOf(provider.address)) };
  const submission = { from: mailbox(from), to: to.map(mailbox) };
  try {
    const submitted = await readSubmission(world, policy, submission, withCrlf(createReadStream(file)));
    const message = await wrapSubmission(submitted, submission, provider, signer);
    await pipeline(Readable.from(message), process.stdout, { end: false });
    return 0;
  } catch (trouble) {
    if (!(trouble instanceof Refusal || trouble instanceof NotAccepted)) throw trouble;
    process.stderr.write(`${file}: ${trouble.message}\n`);
    return 1;
  }
}

function mailbox(text: string) {
  const parsed = parseMailbox(text);
  if (parsed === undefined) throw new UsageError(`${text}: not a mailbox, write local-part@domain`);
  return parsed;
}
