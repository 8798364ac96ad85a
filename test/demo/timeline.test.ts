// The timeline: plain text where there is no colour, the same text in colour where there is
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { colourful, type Entry, kindInWords, paletteFor, plain, rendered } from '../../src/demo/timeline.ts';
import { certificationKinds } from '../../src/pec/certification-data.ts';

const scene: Entry = {
  type: 'scene',
  text: 'anna@pec.alfa.example sends',
  details: ['to bruno@pec.beta.example'],
};
const message: Entry = {
  type: 'message',
  mailbox: 'bruno@pec.beta.example',
  kind: 'posta-certificata',
  subject: 'POSTA CERTIFICATA: Così',
  findings: ['signed', 'valid'],
};

test('plain: when, who, what, and what holds, each on its line', () => {
  assert.equal(
    rendered(scene, 1234, plain) + rendered(message, 61_005, plain),
    `
   1.23 s  anna@pec.alfa.example sends
           to bruno@pec.beta.example
  61.01 s  bruno@pec.beta.example ← transport envelope
           "POSTA CERTIFICATA: Così"
           ✓ signed
           ✓ valid
`,
  );
});

test('in colour it is the same text', () => {
  for (const entry of [scene, message]) {
    const coloured = rendered(entry, 5, colourful);
    assert.match(coloured, /\x1b\[/);
    assert.equal(stripVTControlCharacters(coloured), rendered(entry, 5, plain));
  }
});

const outputs: [string, Partial<NodeJS.WriteStream>, object][] = [
  ['a file or a pipe', {}, plain],
  ['a terminal with colours', { isTTY: true, hasColors: () => true }, colourful],
  ['a terminal without, or NO_COLOR', { isTTY: true, hasColors: () => false }, plain],
];
for (const [output, stream, palette] of outputs) {
  test(`the palette for ${output}`, () => assert.equal(paletteFor(stream as NodeJS.WriteStream), palette));
}

test('every kind of message has words; one that nobody knows keeps its name', () => {
  for (const kind of [...certificationKinds, 'errore', 'ordinary']) assert.match(kindInWords(kind), / /);
  assert.equal(kindInWords('sconosciuta'), 'sconosciuta');
});
