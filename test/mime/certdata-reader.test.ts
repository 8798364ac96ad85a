import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CertificationDataError, readCertificationData } from '../../src/mime/certdata-reader.ts';
import {
  type CertificationData,
  certificationKinds,
  certificationXml,
} from '../../src/pec/certification-data.ts';
import { instant, type Mailbox, parseMailbox, parseMsgid, parsePecMsgid } from '../../src/pec/values.ts';

const known = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined);
  return value;
};

const mailbox = fc
  .tuple(fc.stringMatching(/^[a-zA-Z0-9'&+_-]{1,20}$/), fc.stringMatching(/^[a-z0-9]{1,20}$/))
  .map(([local, domain]): Mailbox => known(parseMailbox(`${local}@${domain}.example`)));
const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('<', '&', ']]>', '"', '\n', ' ', 'è', '€', '\u{1f600}'),
      fc.integer({ min: 32, max: 126 }).map(c => String.fromCharCode(c)),
    ),
  })
  .map(one => one.trim());
const id = fc.stringMatching(/^[a-zA-Z0-9.&'-]{1,30}$/);
const maybe = <Key extends string, T>(key: Key, value: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.constant({}),
    value.map(one => ({ [key]: one }) as Record<Key, T>),
  );

const facts = fc
  .tuple(
    fc.record({
      pecMsgid: id.map(one => known(parsePecMsgid(`${one}@pec.alfa.example`))),
      sender: mailbox,
      recipients: fc.array(
        fc.record(
          { address: mailbox, kind: fc.constantFrom('certificato', 'esterno') },
          { noNullPrototype: true },
        ),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
      replyTo: text,
    }),
    maybe(
      'msgid',
      id.map(one => known(parseMsgid(`<${one}@client.example>`))),
    ),
    maybe('subject', text),
  )
  .map(([all, msgid, subject]) => ({ ...all, ...msgid, ...subject }));
const certificationData: fc.Arbitrary<CertificationData> = fc
  .tuple(
    fc.record({
      tipo: fc.constantFrom(...certificationKinds),
      about: facts,
      provider: text,
      at: fc.integer({ min: 0, max: 2 ** 42 }).map(instant),
      ricezione: fc.array(mailbox, { maxLength: 3 }),
    }),
    maybe('errore', fc.constantFrom('no-dest', 'no-dominio', 'virus', 'altro')),
    maybe('ricevuta', fc.constantFrom('completa', 'breve', 'sintetica')),
    maybe('consegna', mailbox),
    maybe('extended', text),
  )
  .map(parts => Object.assign({}, ...parts) as CertificationData);

test('RFC 6109 §4.4: what we write is read again', () => {
  fc.assert(
    fc.property(certificationData, data => {
      assert.deepEqual(readCertificationData(Buffer.from(certificationXml(data))), data);
    }),
  );
});

const HEADING =
  '<mittente>a@pec.alfa.example</mittente><destinatari>b@pec.beta.example</destinatari><risposte>a@pec.alfa.example</risposte>';
const DATA =
  '<gestore-emittente>Alfa</gestore-emittente><data zona="+0100"><giorno>05/12/2024</giorno><ora>00:02:10</ora></data><identificativo>1@pec.alfa.example</identificativo>';
const document = (heading = HEADING, data = DATA, root = 'postacert tipo="posta-certificata"') =>
  `<${root}><intestazione>${heading}</intestazione><dati>${data}</dati></postacert>`;
const expected = readCertificationData(Buffer.from(document()));

test('the plain document', () => {
  assert.deepEqual(expected, {
    tipo: 'posta-certificata',
    about: {
      pecMsgid: '1@pec.alfa.example',
      sender: 'a@pec.alfa.example',
      recipients: [{ address: 'b@pec.beta.example', kind: 'certificato' }],
      replyTo: 'a@pec.alfa.example',
    },
    provider: 'Alfa',
    at: Date.parse('2024-12-04T23:02:10Z'),
    ricezione: [],
  });
});

test('RFC 6109 §4.4, read tolerantly: all these say the same', async t => {
  const rows: [string, string | Buffer][] = [
    ['an XML declaration', `<?xml version='1.0' encoding='utf-8' standalone="yes"?>\n${document()}\n`],
    ['a byte order mark', `\ufeff<?xml version="1.0"?>${document()}`],
    ['US-ASCII', `<?xml version="1.0" encoding="US-ASCII"?>${document()}`],
    [
      'another order',
      document(
        HEADING.replace(/(<mittente.*?<\/mittente>)(.*)/, '$2$1'),
        DATA.replace(/(<data.*<\/data>)(.*)/, '$2$1'),
      ),
    ],
    [
      'white space',
      document()
        .replaceAll('<', '\r\n\t <')
        .replaceAll('>', '>\n ')
        .replaceAll(/<[^>]*/g, tag => `${tag} `)
        .replaceAll(/<\s+/g, '<'),
    ],
    [
      'unknown elements and attributes',
      document(
        `${HEADING}<x:cc n='1'><y/></x:cc>`,
        `<nota z="2">a<b>b</b></nota>${DATA}`,
        'postacert tipo="posta-certificata" versione=\'2\'',
      ),
    ],
    [
      'comments and processing instructions',
      `<!-- <postacert> -->${document(`<!-- -- <x -->${HEADING}<?php >?>`)}<?x?>`,
    ],
    ['stray text', document(`stray ${HEADING}`, `${DATA} stray`)],
    [
      'CDATA',
      document(HEADING.replace('b@pec', '<![CDATA[b@p]]>ec'), DATA.replace('Alfa', '<![CDATA[Alfa]]>')),
    ],
    ['references', document(HEADING.replace('a@', '&#97;&#x40;'))],
    ['an explicit nessuno', document(HEADING, DATA, 'postacert errore="nessuno" tipo="posta-certificata"')],
    ['a zone with a colon', document().replace('+0100', '+01:00')],
    [
      'an identificativo in brackets',
      document(HEADING, DATA.replace('1@pec.alfa.example', '&lt;1@pec.alfa.example&gt;')),
    ],
    ['a msgid that is none', document(HEADING, `${DATA}<msgid>none</msgid>`)],
  ];
  for (const [name, xml] of rows) {
    await t.test(name, () => assert.deepEqual(readCertificationData(Buffer.from(xml)), expected));
  }
  await t.test('ISO-8859-1', () => {
    const xml = `<?xml version="1.0" encoding="ISO-8859-1"?>${document(`${HEADING}<oggetto>perché</oggetto>`)}`;
    assert.equal(readCertificationData(Buffer.from(xml, 'latin1')).about.subject, 'perché');
  });
});

test('RFC 6109 §4.4, strict in meaning, and closed to attacks', async t => {
  const rows: [string, string | Buffer, RegExp][] = [
    ['nothing', '', /not one root/],
    ['another root', '<posta tipo="posta-certificata"/>', /not postacert/],
    ['two roots', document() + document(), /not one root/],
    ['no tipo', document(HEADING, DATA, 'postacert'), /without tipo/],
    ['an unknown tipo', document().replace('posta-certificata', 'posta'), /unknown tipo/],
    [
      'a tipo named like a member of every object',
      document().replace('posta-certificata', 'constructor'),
      /unknown tipo/,
    ],
    [
      'an unknown errore',
      document(HEADING, DATA, 'postacert tipo="accettazione" errore="x"'),
      /unknown errore/,
    ],
    ['no mittente', document(HEADING.replace(/<mittente.*mittente>/, '')), /no mittente/],
    ['two mittente', document(HEADING + HEADING), /more than one mittente/],
    [
      'a mittente that is no mailbox',
      document(HEADING.replace('a@', 'mailto:a b@')),
      /mittente is not a mailbox/,
    ],
    ['an empty mittente', document(HEADING.replace(/(<mittente>)[^<]*/, '$1')), /mittente is not a mailbox/],
    ['no destinatari', document(HEADING.replace(/<destinatari.*destinatari>/, '')), /no destinatari/],
    [
      'an unknown kind of recipient',
      document(HEADING.replace('<destinatari', '<destinatari tipo="x"')),
      /unknown tipo/,
    ],
    ['no dati', document().replace(/<dati>.*<\/dati>/, ''), /no dati/],
    [
      'two identificativo',
      document(HEADING, `${DATA}<identificativo>2@a.example</identificativo>`),
      /more than one identificativo/,
    ],
    [
      'an identificativo that is none',
      document(HEADING, DATA.replace('1@pec', '1 2@pec')),
      /identificativo is not/,
    ],
    ['no data', document(HEADING, DATA.replace(/<data.*data>/, '')), /no data/],
    ['a day that is none', document().replace('05/12', '31/13'), /not an instant/],
    ['no zona', document().replace(' zona="+0100"', ''), /not an instant/],
    ['an unknown ricevuta', document(HEADING, `${DATA}<ricevuta tipo="x"/>`), /unknown tipo/],
    ['more than 1 MiB', document().padEnd(1024 * 1024 + 1), /more than/],
    ['another encoding', `<?xml version="1.0" encoding="UTF-16"?>${document()}`, /encoding that is not read/],
    [
      'not its own encoding',
      Buffer.from(document(`${HEADING}<oggetto>perch\xe9</oggetto>`), 'latin1'),
      /not in the encoding/,
    ],
    ['a DTD', `<!DOCTYPE postacert SYSTEM "postacert.dtd">${document()}`, /a DTD/],
    [
      'billion laughs',
      `<!DOCTYPE p [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>${document(`${HEADING}<oggetto>&b;</oggetto>`)}`,
      /a DTD/,
    ],
    [
      'an outside entity',
      `<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>${document(`${HEADING}<oggetto>&x;</oggetto>`)}`,
      /a DTD/,
    ],
    ['an entity without a DTD', document(`${HEADING}<oggetto>&egrave;</oggetto>`), /entity/],
    [
      'an entity named like a member of every object',
      document(`${HEADING}<oggetto>&toString;</oggetto>`),
      /entity/,
    ],
    ['a bare ampersand', document(`${HEADING}<oggetto>a & b</oggetto>`), /entity/],
    ['a reference to no character', document(`${HEADING}<oggetto>&#0;</oggetto>`), /entity/],
    ['a reference to a surrogate', document(`${HEADING}<oggetto>&#xd800;</oggetto>`), /entity/],
    ['a reference beyond Unicode', document(`${HEADING}<oggetto>&#x110000;</oggetto>`), /entity/],
    ['a CDATA section without an end', `${document()}<![CDATA[`, /CDATA section without an end/],
    ['a comment without an end', `${document()}<!--`, /comment without an end/],
    ['an instruction without an end', `${document()}<?`, /instruction without an end/],
    ['an element that is not closed', document().replace('</dati>', ''), /closes nothing/],
    ['an end tag too many', `${document()}</dati>`, /closes nothing/],
    ['a document cut short', document().slice(0, -5), /tag|not closed|closes nothing/],
    [
      'an attribute given twice',
      document(HEADING, DATA, 'postacert tipo="accettazione" tipo="accettazione"'),
      /given twice/,
    ],
    [
      'an attribute without quotes',
      document(HEADING, DATA, 'postacert tipo=accettazione'),
      /without a value/,
    ],
    ['an attribute without value', document(HEADING, DATA, 'postacert tipo'), /without a value/],
    ['deep nesting', '<a>'.repeat(300_000), /20 deep/],
    ['many elements', document('<a/>'.repeat(200_000)), /50000 elements/],
    [
      'a huge attribute',
      document(HEADING, DATA, `postacert tipo="${'x'.repeat(1_000_000)}"`),
      /unknown tipo/,
    ],
    ['a huge attribute without an end', `<postacert tipo="${'x'.repeat(1_000_000)}`, /without a value/],
    [
      'many attributes',
      `<postacert ${Array.from({ length: 100_000 }, (_, n) => `a${n}="" `).join('')}`,
      /tag/,
    ],
    [
      'white space without end',
      document(HEADING.replace('a@', ' '.repeat(900_000))),
      /mittente is not a mailbox/,
    ],
    ['many ampersands', document(`<oggetto>${'&'.repeat(900_000)}</oggetto>`), /entity/],
    ['many open brackets', '<'.repeat(1_000_000), /tag without a name/],
  ];
  for (const [name, xml, reason] of rows) {
    await t.test(name, () => {
      assert.throws(
        () => readCertificationData(Buffer.from(xml as string)),
        (trouble: unknown) => {
          assert.ok(trouble instanceof CertificationDataError);
          assert.match(trouble.message, reason);
          return true;
        },
      );
    });
  }
});

test('the time to read grows with the size of the document, not faster', () => {
  const hostile = (size: number) => [
    document(HEADING.replace('a@', ' '.repeat(size))),
    document(`${HEADING}<oggetto>${'&amp;'.repeat(size / 5)}${' '.repeat(size / 2)}x</oggetto>`),
    `<postacert ${Array.from({ length: size / 10 }, (_, n) => `a${n}="" `).join('')}`,
    `${'<![CDATA[]]>'.repeat(size / 12)}`,
  ];
  const seconds = (xml: string) => {
    const started = process.hrtime.bigint();
    assert.throws(() => {
      readCertificationData(Buffer.from(xml));
      throw new CertificationDataError('read');
    }, CertificationDataError);
    return Number(process.hrtime.bigint() - started) / 1e9;
  };
  const least = (xml: string) => Math.min(...Array.from({ length: 5 }, () => seconds(xml)));
  const small = hostile(20_000).map(least);
  hostile(800_000)
    .map(least)
    .forEach((time, index) => {
      // 40 times the size; the square of it would be 1,600.
      assert.ok(
        time < 400 * Math.max(small[index] ?? 0, 1e-3),
        `${index}: ${small[index]} s, then ${time} s`,
      );
    });
});

test('any text is read or refused, with nothing else thrown', () => {
  const pieces = fc.array(
    fc.constantFrom(
      ...(document().match(/<[^>]*>|[^<]+/g) ?? []),
      '<',
      '>',
      '&',
      ';',
      '"',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '/',
      '\0',
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(pieces, some => {
      try {
        readCertificationData(Buffer.from(some.join('')));
      } catch (trouble) {
        assert.ok(trouble instanceof CertificationDataError);
      }
    }),
    { numRuns: 1000 },
  );
});
