// LDIF as RFC 2849 writes it, and as the providers' directory comes in practice
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytesOf, type Ldif, parseLdif, textsOf } from '../../src/pec/ldif.ts';

/** The entries as plain data; bytes in hex. */
function plain({ entries }: Ldif) {
  return entries.map(({ dn, attributes }) => ({
    dn,
    ...Object.fromEntries(
      [...attributes].map(([name, values]) => [
        name,
        values.map(value => (typeof value === 'string' ? value : Buffer.from(value).toString('hex'))),
      ]),
    ),
  }));
}

const rows: readonly {
  title: string;
  text: string;
  entries: readonly Readonly<Record<string, unknown>>[];
  oddities?: readonly string[];
}[] = [
  {
    title: 'two entries, a comment with a folded line, version',
    text: 'version: 1\n# a comment\n goes on: here\ndn: o=postacert\no: postacert\n\ndn: o=second\no: b\no: c\n',
    entries: [
      { dn: 'o=postacert', o: ['postacert'] },
      { dn: 'o=second', o: ['b', 'c'] },
    ],
  },
  {
    title: 'a byte order mark and CRLF',
    text: '\uFEFFversion: 1\r\n\r\ndn: o=a\r\ndescription: one\r\n  two\r\n',
    entries: [{ dn: 'o=a', description: ['one two'] }],
  },
  {
    title: 'attribute names in any case, ;binary dropped, other options kept',
    text: 'DN: o=a\nproviderCertificate;Binary:: AQID\nprovidercertificate:: BA==\nO;lang-it: b\n',
    entries: [{ dn: 'o=a', providercertificate: ['010203', '04'], 'o;lang-it': ['b'] }],
  },
  {
    title: 'a name folded right after its colon (RFC 6109 §4.5.10)',
    text: 'dn: o=a\nproviderCertificate;binary::\n AQ\n ID\nproviderCertificateHash:\n 7E7A\n',
    entries: [{ dn: 'o=a', providercertificate: ['010203'], providercertificatehash: ['7E7A'] }],
  },
  {
    title: 'base64 text is UTF-8, also in a dn',
    text: 'dn:: bz3DqA==\nproviderName:: U29jaWV0w6A=\n',
    entries: [{ dn: 'o=è', providername: ['536f63696574c3a0'] }],
  },
  {
    title: 'no blank line between entries',
    text: 'dn: o=a\no: a\ndn: o=b\no: b\n',
    entries: [
      { dn: 'o=a', o: ['a'] },
      { dn: 'o=b', o: ['b'] },
    ],
    oddities: ['line 3: no blank line before dn'],
  },
  {
    title: 'a comment between entries separates nothing and hides no blank line',
    text: 'dn: o=a\n\n# next\ndn: o=b\n# next\ndn: o=c\n',
    entries: [{ dn: 'o=a' }, { dn: 'o=b' }, { dn: 'o=c' }],
    oddities: ['line 6: no blank line before dn'],
  },
  {
    title: 'blank lines inside an entry and inside a value, as page breaks leave them',
    text: 'dn: o=a\n\no: a\ncert:: AQ\n\n ID\n',
    entries: [{ dn: 'o=a', o: ['a'], cert: ['010203'] }],
    oddities: ['line 6: blank line inside a value', 'line 3: blank line inside the entry'],
  },
  {
    title: 'folds with a tab, with many blanks, with none',
    text: 'dn: o=a\ncert:: AQ\n\tID\n   BAUG\nBwgJ\no: b\n',
    entries: [{ dn: 'o=a', cert: ['010203040506070809'], o: ['b'] }],
    oddities: ['line 3: folded with a tab', 'line 5: base64 folded without a blank'],
  },
  {
    title: 'what cannot be read is left out, the rest stays',
    text: 'o: early\ndn: o=a\ncert:: *\nthis is nothing\nphoto:< file:///etc/passwd\no: b\n',
    entries: [{ dn: 'o=a', o: ['b'] }],
    oddities: [
      'line 4: neither attribute nor continuation, left out',
      'line 1: o before the first dn, left out',
      'line 3: cert is not base64, left out',
      'line 5: photo by reference, left out',
    ],
  },
  { title: 'nothing', text: '', entries: [] },
];

describe('parseLdif', () => {
  for (const { title, text, entries, oddities = [] } of rows) {
    it(title, () => {
      const ldif = parseLdif(text);
      assert.deepEqual(plain(ldif), entries);
      assert.deepEqual(ldif.oddities, oddities);
    });
  }

  it('gives entries their line, values as text or bytes', () => {
    const [, entry] = parseLdif('dn: o=a\n\n\ndn: o=b\nname:: w6A=\nname: b\n').entries;
    assert.ok(entry !== undefined);
    assert.equal(entry.line, 4);
    assert.deepEqual(textsOf(entry, 'name'), ['à', 'b']);
    assert.deepEqual(bytesOf(entry, 'name'), [Uint8Array.of(0xc3, 0xa0)]);
    assert.deepEqual(textsOf(entry, 'absent'), []);
  });

  it('joins lines folded at any width, with any line end', () => {
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.stringMatching(/^[!-9;-~][ -~]*$/).map(text => text.trim()),
    );
    const entry = fc.record({
      cn: fc.stringMatching(/^[a-z]{1,9}$/),
      values: fc.array(value, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 4 }),
        fc.integer({ min: 1, max: 76 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        (given, width, end) => {
          const folded = (line: string) =>
            line.match(new RegExp(`^.{1,${width + 5}}|.{1,${width}}`, 'g'))?.join(`${end} `);
          const text = given.map(({ cn, values }) =>
            [
              `dn: cn=${cn}`,
              ...values.map(one =>
                typeof one === 'string' ? `v: ${one}` : `v;binary:: ${Buffer.from(one).toString('base64')}`,
              ),
            ]
              .map(line => `${folded(line)}${end}`)
              .join(''),
          );
          const ldif = parseLdif(text.join(end));
          assert.deepEqual(ldif.oddities, []);
          assert.deepEqual(
            ldif.entries.map(({ dn, attributes }) => ({ dn, values: attributes.get('v') ?? [] })),
            given.map(({ cn, values }) => ({ dn: `cn=${cn}`, values })),
          );
        },
      ),
    );
  });

  it('never fails, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('\n', ' ', '\t', 'd', 'n', ':', '<', '#', '=', 'é') }),
        text => {
          assert.ok(Array.isArray(parseLdif(text).entries));
        },
      ),
    );
  });
});
