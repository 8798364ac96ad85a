// As much XML as daticert.xml needs, read in linear time: no DTD, no entities of the document's own, no outside world. XML 1.0
// Anything that could make a small document large, or reach for a file, is refused.

/** An element; `text` is its own character data, without that of its children. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

export class XmlError extends Error {}

const DEPTH_LIMIT = 20;
const ELEMENT_LIMIT = 50_000;
const NAME = /[\p{L}_:][\p{L}\p{N}_:.\-\u00b7]*/uy;
const SPACE = /[ \t\r\n]*/y;
const ATTRIBUTE_VALUE = /"([^"<]*)"|'([^'<]*)'/y;

interface Growing {
  readonly name: string;
  readonly attributes: Map<string, string>;
  readonly children: Growing[];
  text: string;
}

/** The root element of a document. Comments and processing instructions are passed over. Throws an XmlError. */
export function parseXml(source: string): XmlElement {
  const document: Growing = { name: '', attributes: new Map(), children: [], text: '' };
  const open: Growing[] = [document];
  let at = 0;
  let elements = 0;

  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match !== null) at += match[0].length;
    return match;
  };
  const upTo = (end: string, what: string): string => {
    const stop = source.indexOf(end, at);
    if (stop < 0) throw new XmlError(`${what} without an end`);
    const content = source.slice(at, stop);
    at = stop + end.length;
    return content;
  };
  const starts = (mark: string): boolean => {
    if (!source.startsWith(mark, at)) return false;
    at += mark.length;
    return true;
  };
  const name = (): string => {
    const found = take(NAME)?.[0];
    if (found === undefined) throw new XmlError('a tag without a name');
    return found;
  };
  const attributes = (): Map<string, string> => {
    const found = new Map<string, string>();
    while (take(SPACE)?.[0] !== '' && source[at] !== '>' && source[at] !== '/') {
      const key = name();
      take(SPACE);
      if (!starts('=')) throw new XmlError('an attribute without a value');
      take(SPACE);
      const value = take(ATTRIBUTE_VALUE);
      if (value === null) throw new XmlError('an attribute without a value');
      if (found.has(key)) throw new XmlError('an attribute given twice');
      found.set(key, unescaped(value[1] ?? value[2] ?? ''));
    }
    return found;
  };
  const endTag = () => {
    const closed = open.pop();
    if (name() !== closed?.name) throw new XmlError('an end tag that closes nothing');
    take(SPACE);
    if (!starts('>')) throw new XmlError('a tag without an end');
  };
  const startTag = (parent: Growing) => {
    elements += 1;
    if (elements > ELEMENT_LIMIT) throw new XmlError(`more than ${ELEMENT_LIMIT} elements`);
    const element: Growing = { name: name(), attributes: attributes(), children: [], text: '' };
    parent.children.push(element);
    if (starts('/>')) return;
    if (!starts('>')) throw new XmlError('a tag without an end');
    open.push(element);
    if (open.length > DEPTH_LIMIT + 1) throw new XmlError(`elements more than ${DEPTH_LIMIT} deep`);
  };

  while (at < source.length) {
    const current = open.at(-1) ?? document;
    const markup = source.indexOf('<', at);
    const end = markup < 0 ? source.length : markup;
    current.text += unescaped(source.slice(at, end));
    at = end;
    if (starts('<!--')) upTo('-->', 'a comment');
    else if (starts('<![CDATA[')) current.text += upTo(']]>', 'a CDATA section');
    else if (starts('<!')) throw new XmlError('a DTD');
    else if (starts('<?')) upTo('?>', 'a processing instruction');
    else if (starts('</')) endTag();
    else if (starts('<')) startTag(current);
  }
  const [root, ...others] = document.children;
  if (open.length !== 1) throw new XmlError('elements that are not closed');
  if (root === undefined || others.length > 0) throw new XmlError('not one root element');
  return root;
}

const predefined: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:(#x?)?([0-9A-Za-z]{1,8});)?/g, (_, numeric: string | undefined, body = '') => {
    const character = numeric === undefined ? predefined.get(body) : numbered(numeric, body);
    if (character === undefined) throw new XmlError('an entity that XML itself does not define');
    return character;
  });
}

function numbered(prefix: string, digits: string): string | undefined {
  const hexadecimal = prefix === '#x';
  if (!(hexadecimal ? /^[0-9A-Fa-f]+$/ : /^[0-9]+$/).test(digits)) return undefined;
  const code = Number.parseInt(digits, hexadecimal ? 16 : 10);
  const character = code <= 0x10ffff ? String.fromCodePoint(code) : '';
  return /^[\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]$/u.test(character) ? character : undefined;
}
