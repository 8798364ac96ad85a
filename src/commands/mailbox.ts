// `pecd mailbox`: which mailboxes take ordinary mail. A change is in force at once, on every node
import { type RedisMailboxes, redisMailboxes } from '../adapters/redis-mailboxes.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { domainOf, type Mailbox, parseMailbox } from '../pec/values.ts';
import { UsageError } from './exit-codes.ts';
import { withRedis } from './redis.ts';

export interface MailboxOptions {
  /** The configuration file. */
  readonly file: string;
  readonly json: boolean;
}

interface Row {
  readonly mailbox: Mailbox;
  readonly open: boolean;
}

/** What to print: the mailboxes whose holders chose. All others are as `incoming.ordinaryMail` says. */
export async function listMailboxes({ file, json }: MailboxOptions): Promise<string> {
  const config = await loadConfig(file);
  const rows = await withMailboxes(config, mailboxes => mailboxes.list());
  return json ? `${JSON.stringify(rows)}\n` : rows.map(textOf).join('');
}

/** What to print: whether the mailbox is open, after having opened or closed it. */
export async function changeMailbox(
  verb: 'show' | 'open' | 'close',
  { file, json, address }: MailboxOptions & { readonly address: string },
): Promise<string> {
  const config = await loadConfig(file);
  const mailbox = ownMailbox(address, config);
  const open = await withMailboxes(config, async mailboxes => {
    if (verb !== 'show') await mailboxes[verb](mailbox);
    return mailboxes.isOpen(mailbox);
  });
  const row: Row = { mailbox, open };
  return json ? `${JSON.stringify(row)}\n` : textOf(row);
}

function withMailboxes<T>(config: Config, use: (mailboxes: RedisMailboxes) => Promise<T>): Promise<T> {
  const byDefault = config.incoming?.ordinaryMail ?? 'reject';
  return withRedis(config.redis.url, redis => use(redisMailboxes(redis, byDefault)));
}

function ownMailbox(address: string, { provider }: Config): Mailbox {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) throw new UsageError(`${address}: not a mailbox`);
  if (!provider.domains.includes(domainOf(mailbox))) {
    throw new UsageError(`${address}: not in one of our domains (${provider.domains.join(', ')})`);
  }
  return mailbox;
}

function textOf({ mailbox, open }: Row): string {
  return `${open ? 'open  ' : 'closed'} ${mailbox}\n`;
}
