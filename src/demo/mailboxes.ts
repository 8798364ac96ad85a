// What came into the maildirs, and what each message is by its header. pec.md section 2
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeWords } from '../pec/encoded-words.ts';
import { field, firstOf, parseHeader } from '../pec/header.ts';

export interface Arrival {
  readonly at: Date;
  readonly mailbox: string;
  /** The value of X-Ricevuta or X-Trasporto; `ordinary` for mail that has neither. */
  readonly kind: string;
  /** Decoded. */
  readonly subject: string;
  /** Path of the message. */
  readonly file: string;
}

/** `maildirs` by address. Each call resolves to what came since the call before, oldest first. */
export function newMail(maildirs: ReadonlyMap<string, string>): () => Promise<readonly Arrival[]> {
  const seen = new Set<string>();
  return async () => {
    const arrivals: Arrival[] = [];
    for (const [mailbox, maildir] of maildirs) {
      for (const file of await messagesIn(maildir)) {
        // Dovecot gives one name to what it delivers to several mailboxes at once.
        const message = `${mailbox} ${nameOf(file)}`;
        if (seen.has(message)) continue;
        seen.add(message);
        arrivals.push(await arrivalOf(mailbox, file));
      }
    }
    return arrivals.sort((a, b) => a.at.getTime() - b.at.getTime());
  };
}

/** The files of a maildir, read or not; none as long as nobody wrote to it. */
export async function messagesIn(maildir: string): Promise<readonly string[]> {
  const folders = ['new', 'cur'].map(async folder => {
    const names = await readdir(join(maildir, folder)).catch(() => []);
    return names.map(name => join(maildir, folder, name));
  });
  return (await Promise.all(folders)).flat();
}

/** The name without the flags that a mail client may have set. */
function nameOf(file: string): string {
  return file.replace(/^.*\/|:.*$/g, '');
}

async function arrivalOf(mailbox: string, file: string): Promise<Arrival> {
  const [{ mtime }, text] = await Promise.all([stat(file), readFile(file, 'latin1')]);
  const header = parseHeader(text.slice(0, text.search(/\n\r?\n/) + 1));
  return {
    at: mtime,
    mailbox,
    kind: firstOf(header, field.receipt) ?? firstOf(header, field.transport) ?? 'ordinary',
    subject: decodeWords(firstOf(header, field.subject) ?? ''),
    file,
  };
}
