// `pecd track`: what became of a message, from the journal of this node and from what Redis knows of open waits
import { history } from '../adapters/file-journal.ts';
import { redisWaits } from '../adapters/redis-waits.ts';
import { loadConfig, StartupError } from '../config/load.ts';
import type { Tracked } from '../pec/tracking.ts';
import { type PecMsgid, parsePecMsgid } from '../pec/values.ts';
import { UsageError } from './exit-codes.ts';
import { withRedis } from './redis.ts';
import { type TracedEvent, type TracedMessage, type TracedRecipient, traced } from './traced.ts';

export interface TrackOptions {
  /** The configuration file. */
  readonly file: string;
  readonly json: boolean;
  /** A PEC msgid or a client's Message-ID, with or without angle brackets. */
  readonly id: string;
}

export interface Track {
  /** For standard output. */
  readonly output: string;
  /** Lines for standard error. */
  readonly remarks: readonly string[];
  /** 1 if nobody knows such a message. */
  readonly exitCode: 0 | 1;
}

export async function track({ file, json, id }: TrackOptions): Promise<Track> {
  const { journal, redis } = await loadConfig(file);
  const bare = parsePecMsgid(id);
  if (bare === undefined) throw new UsageError(`${id}: not an identifier of a message`);
  const remarks: string[] = [];
  const unreadable = (name: string, number: number) =>
    remarks.push(`${journal.directory}/${name}:${number}: not a line of the journal`);
  const records = await Array.fromAsync(history(journal.directory, bare, unreadable));
  const named = records.flatMap(({ pecMsgid }) => pecMsgid ?? []);
  const open = await openWaits(redis.url, new Set([...named, bare])).catch(trouble => {
    if (!(trouble instanceof StartupError)) throw trouble;
    remarks.push(`${trouble.message}; only the journal was read`);
    return [];
  });
  const messages = traced(records, open);
  if (messages.length === 0) remarks.push(`${id}: no message is known by it`);
  return {
    output: json ? `${JSON.stringify({ messages })}\n` : messages.map(asText).join('\n'),
    remarks,
    exitCode: messages.length === 0 ? 1 : 0,
  };
}

function openWaits(url: string, ids: ReadonlySet<PecMsgid>): Promise<readonly Tracked[]> {
  return withRedis(url, async redis => {
    const waits = redisWaits(redis);
    const found = await Promise.all([...ids].map(id => waits.of(id)));
    return found.filter(tracked => tracked !== undefined);
  });
}

function asText({ pecMsgid, msgid, sender, subject, recipients, events }: TracedMessage): string {
  const lines = [
    pecMsgid ?? msgid,
    ...(pecMsgid === undefined || msgid === undefined ? [] : [`  msgid ${msgid}`]),
    `  from ${sender ?? '<>'}`,
    ...(subject === undefined ? [] : [`  subject ${JSON.stringify(subject)}`]),
    ...recipients.map(recipientText),
    ...events.map(event => eventText(event, pecMsgid)),
  ];
  return `${lines.join('\n')}\n`;
}

function recipientText({ address, kind, state, heard }: TracedRecipient): string {
  const told = Object.entries(heard).map(([name, at]) => `, ${name} ${at}`);
  return `  to ${address}${kind ? ` (${kind})` : ''}: ${state}${told.join('')}`;
}

function eventText(event: TracedEvent, pecMsgid: PecMsgid | undefined): string {
  const { at, point, event: what, reason, paid, owed = [] } = event;
  // The identifier is at the top already.
  const short = (key: string) => key.replace(` ${pecMsgid}`, '');
  const more = [
    ...(paid === undefined ? [] : [`paid: ${short(paid)}`]),
    ...owed.map(key => `owed: ${short(key)}`),
    ...(reason === undefined ? [] : [`reason: ${JSON.stringify(reason)}`]),
  ];
  return `  ${at} ${point} ${what}${more.map(each => `; ${each}`).join('')}`;
}
