// The story of the demo as lines that a person reads: when, who, what; and what was found to hold
import { styleText } from 'node:util';

export type Entry =
  | { readonly type: 'scene'; readonly text: string; readonly details?: readonly string[] }
  | {
      readonly type: 'message';
      readonly mailbox: string;
      /** As in Arrival. */
      readonly kind: string;
      readonly subject: string;
      /** What holds of it. */
      readonly findings: readonly string[];
    };

export interface Palette {
  strong(text: string): string;
  faint(text: string): string;
  good(text: string): string;
}

const asItIs = (text: string) => text;
export const plain: Palette = { strong: asItIs, faint: asItIs, good: asItIs };
export const colourful: Palette = {
  strong: text => styleText('bold', text, { validateStream: false }),
  faint: text => styleText('dim', text, { validateStream: false }),
  good: text => styleText('green', text, { validateStream: false }),
};

/** Colour on a terminal that has it, unless NO_COLOR says otherwise. */
export function paletteFor(output: NodeJS.WriteStream): Palette {
  return output.isTTY && output.hasColors() ? colourful : plain;
}

const KINDS: Readonly<Record<string, string>> = {
  'posta-certificata': 'transport envelope',
  errore: 'anomaly envelope',
  accettazione: 'acceptance receipt',
  'non-accettazione': 'non-acceptance notice',
  'presa-in-carico': 'take-charge receipt',
  'avvenuta-consegna': 'delivery receipt',
  'errore-consegna': 'non-delivery notice',
  'preavviso-errore-consegna': 'time-out notice',
  'rilevazione-virus': 'virus notice',
  ordinary: 'ordinary mail',
};

/** A kind of message in words; a kind that nobody knows is its own name. */
export function kindInWords(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** The lines of one entry, ended by a line feed. */
export function rendered(entry: Entry, milliseconds: number, palette: Palette): string {
  const clock = palette.faint(`${(milliseconds / 1000).toFixed(2).padStart(7)} s`);
  const margin = ' '.repeat(11);
  switch (entry.type) {
    case 'scene': {
      const details = (entry.details ?? []).map(line => `${margin}${line}\n`);
      return `\n${clock}  ${palette.strong(entry.text)}\n${details.join('')}`;
    }
    case 'message': {
      const kind = palette.strong(kindInWords(entry.kind));
      const findings = entry.findings.map(line => `${margin}${palette.good('✓')} ${line}\n`);
      return `${clock}  ${entry.mailbox} ← ${kind}\n${margin}"${entry.subject}"\n${findings.join('')}`;
    }
  }
}
