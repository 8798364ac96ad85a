// From, To, Cc, Reply-To: which mailboxes an address list names. RFC 5322 §3.4, obsolete forms included
import { type Mailbox, parseMailbox } from './values.ts';

export interface AddressList {
  readonly mailboxes: readonly Mailbox[];
  /** False if any part of the field is not an address: then the list may be incomplete. */
  readonly wellFormed: boolean;
}

type Token = { readonly kind: 'text' | 'quoted' | 'mark'; readonly text: string };

/** Reads the unfolded value of an address field: names, comments, groups and encoded words are passed over. Linear time. */
export function parseAddresses(value: string): AddressList {
  const tokens = tokensOf(value);
  if (tokens === undefined) return { mailboxes: [], wellFormed: false };
  const mailboxes: Mailbox[] = [];
  let wellFormed = true;
  let inGroup = false;
  let address: Token[] = [];
  // The first angle bracket of the address: a colon after `<` ends a source route, any other one begins a group.
  let bracket = '';
  const begin = () => {
    address = [];
    bracket = '';
  };
  const finish = () => {
    const mailbox = address.length > 0 ? mailboxOf(address) : undefined;
    if (mailbox !== undefined) mailboxes.push(mailbox);
    else if (address.length > 0) wellFormed = false;
    begin();
  };
  for (const token of tokens) {
    if (token.kind !== 'mark') address.push(token);
    else if (token.text === '<' || token.text === '>') {
      address.push(token);
      bracket ||= token.text;
    } else if (token.text === ',') finish();
    else if (token.text === ':') {
      if (bracket === '<') address.push(token);
      else {
        wellFormed &&= !inGroup && address.length > 0;
        begin();
        inGroup = true;
      }
    } else {
      finish();
      wellFormed &&= inGroup;
      inGroup = false;
    }
  }
  finish();
  return { mailboxes, wellFormed: wellFormed && !inGroup };
}

function isMark(token: Token | undefined, text: string): boolean {
  return token?.kind === 'mark' && token.text === text;
}

/** `addr-spec`, or `phrase <addr-spec>`; a source route inside the brackets is passed over (RFC 5322 §4.4). */
function mailboxOf(tokens: readonly Token[]): Mailbox | undefined {
  const open = tokens.findIndex(token => isMark(token, '<'));
  if (open < 0) return tokens.some(({ kind }) => kind === 'mark') ? undefined : parseMailbox(joined(tokens));
  if (!isMark(tokens.at(-1), '>')) return undefined;
  const inside = tokens.slice(open + 1, -1);
  const route = inside.findIndex(token => isMark(token, ':'));
  const spec = inside.slice(route + 1);
  return [...spec, ...tokens.slice(0, open)].some(({ kind }) => kind === 'mark')
    ? undefined
    : parseMailbox(joined(spec));
}

/** Blanks around dots and at-signs are obsolete, but allowed; between words of an address they are not. */
function joined(tokens: readonly Token[]): string {
  const spelt = tokens.slice(0, 64).map(({ text }) => text);
  return spelt.join('\n').replace(/\n?([.@])\n?/g, '$1');
}

/** Words, quoted strings (quotes kept) and the marks `<>,:;`, without comments and blanks; undefined if something is left open. */
function tokensOf(value: string): Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < value.length) {
    const character = value[at] as string;
    if (character === ' ' || character === '\t') at += 1;
    else if (character === '(') {
      const end = endOfComment(value, at);
      if (end === undefined) return undefined;
      at = end;
    } else if (character === '"') {
      const end = endOfQuoted(value, at);
      if (end === undefined) return undefined;
      tokens.push({ kind: 'quoted', text: value.slice(at, end) });
      at = end;
    } else if ('<>,:;'.includes(character)) {
      tokens.push({ kind: 'mark', text: character });
      at += 1;
    } else {
      const start = at;
      while (at < value.length && !' \t("<>,:;'.includes(value[at] as string)) at += 1;
      tokens.push({ kind: 'text', text: value.slice(start, at) });
    }
  }
  return tokens;
}

function endOfQuoted(value: string, start: number): number | undefined {
  for (let at = start + 1; at < value.length; at += 1) {
    if (value[at] === '\\') at += 1;
    else if (value[at] === '"') return at + 1;
  }
  return undefined;
}

function endOfComment(value: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < value.length; at += 1) {
    if (value[at] === '\\') at += 1;
    else if (value[at] === '(') depth += 1;
    else if (value[at] === ')') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return undefined;
}
