// From lines of the journal and what was heard to the state of each recipient. RFC 6109 §2.3
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JournalRecord } from '../../src/adapters/file-journal.ts';
import { traced } from '../../src/commands/traced.ts';
import { type Debt, debtKey, type MessageFacts } from '../../src/pec/receipts.ts';
import type { Heard, Tracked } from '../../src/pec/tracking.ts';
import {
  type Instant,
  instant,
  type Mailbox,
  type Msgid,
  mailboxKey,
  type PecMsgid,
} from '../../src/pec/values.ts';

const mario = 'Mario@pec.alfa.example' as Mailbox;
const luisa = 'Luisa@pec.beta.example' as Mailbox;
const gino = 'gino@ordinary.example' as Mailbox;
const about: MessageFacts = {
  pecMsgid: 'opec1@pec.alfa.example' as PecMsgid,
  msgid: '<one@client.example>' as Msgid,
  sender: mario,
  recipients: [
    { address: luisa, kind: 'certificato' },
    { address: gino, kind: 'esterno' },
  ],
  replyTo: mario,
  subject: 'Perché',
};
const { pecMsgid } = about;

const at = (seconds: number) => instant(Date.UTC(2026, 2, 1, 12, 0, seconds));
const time = (seconds: number) => `2026-03-01T12:00:${String(seconds).padStart(2, '0')}Z`;

/** A debt that arose in that second. */
const debt = (second: number) => ({
  messageId: `r${second}@pec.alfa.example`,
  at: at(second),
  to: mario,
  about,
});
const error = { errore: 'no-dest', extended: '5.1.1 - Beta - indirizzo non valido' } as const;

/** A line of that second; unless it says otherwise, of the message from Mario to both recipients. */
function line(
  second: number,
  event: JournalRecord['event'],
  more: Partial<JournalRecord> = {},
): JournalRecord {
  return {
    at: at(second),
    event,
    point: 'access',
    sender: mario,
    recipients: [luisa, gino],
    pecMsgid,
    transaction: `t${second}`,
    ...more,
  };
}

const accepted = (...debts: readonly Debt[]) =>
  line(1, 'accepted', { debts: [{ kind: 'accettazione', ...debt(1) }, ...debts] });

const heard = (...told: readonly [Mailbox, Partial<Record<Heard, Instant>>][]): readonly Tracked[] => {
  return [{ about, heard: new Map(told.map(([recipient, of]) => [mailboxKey(recipient), of])) }];
};

const NOTHING: readonly Tracked[] = [];

describe('the state of Luisa and Gino', () => {
  const cases: readonly {
    readonly title: string;
    readonly records: readonly JournalRecord[];
    readonly tracked?: readonly Tracked[];
    readonly states: readonly string[];
  }[] = [
    { title: 'only an intent: nobody knows', records: [line(1, 'intent')], states: ['unknown', 'unknown'] },
    {
      title: 'an orphan stays unknown',
      records: [line(1, 'intent'), line(9, 'orphan')],
      states: ['unknown', 'unknown'],
    },
    { title: 'accepted, nothing heard yet', records: [accepted()], states: ['accepted', 'ordinary'] },
    {
      title: 'accepted at the second attempt',
      records: [line(0, 'refused', { reason: 'busy' }), accepted()],
      states: ['accepted', 'ordinary'],
    },
    {
      title: 'a take-charge was heard (Redis)',
      records: [accepted()],
      tracked: heard([luisa, { 'presa-in-carico': at(5) }]),
      states: ['taken in charge', 'ordinary'],
    },
    {
      title: 'a delivery was heard (Redis)',
      records: [accepted()],
      tracked: heard([luisa, { 'presa-in-carico': at(5), 'avvenuta-consegna': at(6) }]),
      states: ['delivered', 'ordinary'],
    },
    {
      title: 'a non-delivery was heard (Redis)',
      records: [accepted()],
      tracked: heard([luisa, { 'errore-consegna': at(6) }]),
      states: ['not delivered', 'ordinary'],
    },
    {
      title: 'a late delivery after a non-delivery',
      records: [accepted()],
      tracked: heard([luisa, { 'errore-consegna': at(5), 'avvenuta-consegna': at(6) }]),
      states: ['delivered', 'ordinary'],
    },
    {
      title: 'the MTA refused one recipient (§3.3.3)',
      records: [accepted({ kind: 'errore-consegna', ...debt(1), recipient: luisa, error })],
      states: ['not delivered', 'ordinary'],
    },
    {
      title: 'a recipient of our own, taken and deferred (§3.4)',
      records: [
        accepted({ kind: 'presa-in-carico', ...debt(1), taken: [luisa] }),
        line(3, 'refused', { point: 'delivery', recipients: [luisa], reason: 'full' }),
      ],
      states: ['taken in charge', 'ordinary'],
    },
    {
      title: 'a recipient of our own, delivered',
      records: [
        accepted({ kind: 'presa-in-carico', ...debt(1), taken: [luisa] }),
        line(3, 'delivered', {
          point: 'delivery',
          recipients: ['LUISA@pec.beta.example' as Mailbox],
          debts: [
            {
              kind: 'avvenuta-consegna',
              ...debt(3),
              recipient: 'LUISA@pec.beta.example' as Mailbox,
              form: 'sintetica',
            },
          ],
        }),
      ],
      states: ['delivered', 'ordinary'],
    },
    {
      title: 'a notice of 24 hours decides nothing',
      records: [
        accepted(),
        line(9, 'overdue', {
          point: 'worker',
          debts: [
            {
              kind: 'preavviso-errore-consegna',
              ...debt(9),
              recipient: luisa,
              notice: 'second',
              error: { ...error, errore: 'altro' },
            },
          ],
        }),
      ],
      states: ['accepted', 'ordinary'],
    },
    {
      title: 'not accepted for its form (§3.1.2)',
      records: [
        line(1, 'refused', { debts: [{ kind: 'non-accettazione', ...debt(1), error, why: 'no From' }] }),
      ],
      states: ['refused', 'refused'],
    },
    {
      title: 'not accepted for a virus (§3.1.3)',
      records: [
        line(1, 'infected', { debts: [{ kind: 'non-accettazione', ...debt(1), error, why: 'Eicar' }] }),
      ],
      states: ['refused', 'refused'],
    },
    {
      title: 'refused by the MTA, never certified',
      records: [line(1, 'intent'), line(1, 'refused', { reason: 'no' })],
      states: ['refused', 'refused'],
    },
    {
      title: 'no line of this journal, but tracked in Redis by another node',
      records: [],
      tracked: heard([luisa, { 'avvenuta-consegna': at(6) }]),
      states: ['delivered', 'unknown'],
    },
    {
      title: 'a receipt that passes names our user, who is no recipient',
      records: [
        accepted(),
        line(4, 'passed-on', { point: 'incoming', sender: null, recipients: [mario] }),
        line(5, 'delivered', { point: 'delivery', sender: null, recipients: [mario] }),
      ],
      states: ['accepted', 'ordinary'],
    },
  ];
  for (const { title, records, tracked = NOTHING, states } of cases) {
    it(title, () => {
      const [message, ...others] = traced(records, tracked);
      assert.deepEqual(
        message?.recipients.map(({ address, state }) => [address, state]),
        [luisa, gino].map((address, n) => [address, states[n]]),
      );
      assert.deepEqual(others, []);
    });
  }
});

describe('a message of another provider', () => {
  const taken = line(2, 'taken', {
    point: 'incoming',
    recipients: [luisa],
    debts: [{ kind: 'presa-in-carico', ...debt(2), taken: [luisa] }],
  });

  it('has the recipients that came our way', () => {
    const [message] = traced([taken], NOTHING);
    assert.deepEqual(message?.recipients, [
      {
        address: luisa,
        kind: 'certificato',
        state: 'taken in charge',
        heard: { 'presa-in-carico': time(2) },
      },
    ]);
  });

  it('is not delivered if it was infected (§3.2.3)', () => {
    const infected = line(2, 'infected', {
      point: 'incoming',
      recipients: [luisa],
      debts: [{ kind: 'rilevazione-virus', ...debt(2), recipient: luisa, error }],
    });
    const [message] = traced([infected], NOTHING);
    assert.equal(message?.recipients[0]?.state, 'not delivered');
  });
});

describe('the whole', () => {
  it('has the certified facts, the instants and every event', () => {
    const records = [
      line(1, 'intent'),
      accepted(),
      line(2, 'sent', {
        point: 'worker',
        paid: debtKey({ kind: 'accettazione', ...debt(1) }),
        generated: ['r1'],
      }),
    ];
    const event = { point: 'access', pecMsgid } as const;
    assert.deepEqual(traced(records, heard([luisa, { 'presa-in-carico': at(5) }])), [
      {
        pecMsgid,
        msgid: '<one@client.example>',
        sender: mario,
        subject: 'Perché',
        recipients: [
          {
            address: luisa,
            kind: 'certificato',
            state: 'taken in charge',
            heard: { 'presa-in-carico': time(5) },
          },
          { address: gino, kind: 'esterno', state: 'ordinary', heard: {} },
        ],
        events: [
          { at: time(1), event: 'intent', ...event, transaction: 't1' },
          { at: time(1), event: 'accepted', ...event, transaction: 't1', owed: [`accettazione ${pecMsgid}`] },
          {
            at: time(2),
            event: 'sent',
            ...event,
            point: 'worker',
            transaction: 't2',
            paid: `accettazione ${pecMsgid}`,
            generated: ['r1'],
          },
        ],
      },
    ]);
  });

  it('keeps messages with one Message-ID apart, ordinary mail too', () => {
    const msgid = '<one@client.example>' as Msgid;
    const { pecMsgid: _, ...ordinary } = line(3, 'enveloped', {
      msgid,
      point: 'incoming',
      recipients: [luisa],
    });
    const other = line(2, 'accepted', { msgid, pecMsgid: 'opec2@pec.alfa.example' as PecMsgid });
    const messages = traced([accepted(), other, ordinary], NOTHING);
    assert.deepEqual(
      messages.map(({ pecMsgid, msgid, events }) => [pecMsgid, msgid, events.length]),
      [
        [pecMsgid, msgid, 1],
        ['opec2@pec.alfa.example', msgid, 1],
        [undefined, msgid, 1],
      ],
    );
    assert.deepEqual(messages[2]?.recipients, [{ address: luisa, state: 'accepted', heard: {} }]);
  });

  it('is nothing where nothing is known', () => assert.deepEqual(traced([], NOTHING), []));
});
