// Which addresses a login may send as. Without a file the login is the address
import { type Mailbox, parseMailbox } from './values.ts';

/** The addresses of a login; none if it may send as nobody. */
export type AddressesOf = (login: string) => readonly Mailbox[];

export const loginIsAddress: AddressesOf = login => {
  const mailbox = parseMailbox(login);
  return mailbox === undefined ? [] : [mailbox];
};

/**
 * Reads a senders file: on each line a login, then its addresses, divided by blanks or commas; `#` begins a comment.
 * A login on several lines has the addresses of all. Throws Error with the number of the line that cannot be read.
 */
export function parseSenders(text: string): AddressesOf {
  const table = new Map<string, Mailbox[]>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [login, ...addresses] = line
      .replace(/#.*$/, '')
      .split(/[\s,]+/)
      .filter(Boolean);
    if (login === undefined) continue;
    const mailboxes = addresses.map(parseMailbox);
    const bad = addresses[mailboxes.indexOf(undefined)];
    if (bad !== undefined) throw new Error(`line ${index + 1}: ${bad} is not a mailbox`);
    if (addresses.length === 0) throw new Error(`line ${index + 1}: ${login} has no address`);
    const known = mailboxes.filter(one => one !== undefined);
    table.set(login.toLowerCase(), [...(table.get(login.toLowerCase()) ?? []), ...known]);
  }
  return login => table.get(login.toLowerCase()) ?? [];
}
