// The client as a keeper: scripted servers that refuse, hang up or fall silent at each step, and our own listener for the bytes
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { createEvents } from '../../src/adapters/events.ts';
import { type KeeperOptions, keeperAt } from '../../src/adapters/smtp-client.ts';
import { listen } from '../../src/adapters/smtp-listener.ts';
import type { Mailbox, SmtpEnvelope } from '../../src/pec/values.ts';
import { Refusal, verdictOf } from '../../src/points/custody.ts';
import { type Peer, peerOn, type Scripted, scripted, throwawayCertificate } from '../smtp-peer.ts';

const box = (text: string) => text as Mailbox;
const [B, C, D] = [box('b@beta.example'), box('c@beta.example'), box('d@beta.example')];
const to = (...recipients: Mailbox[]): SmtpEnvelope => ({ from: box('a@alfa.example'), to: recipients });

async function* bytes(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
}
const hello = () => bytes('Subject: x\r\n\r\nhello\r\n');

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

const FULL = ['PIPELINING', '8BITMIME', 'SIZE'];

async function greet(peer: Peer, features: readonly string[] = FULL, command = /^EHLO pecd\.example$/) {
  peer.send('220 mta.example');
  await peer.expect(command);
  for (const feature of ['mta.example', ...features]) peer.send(`250-${feature}`);
  peer.send('250 HELP');
}

/** Reads commands until DATA and answers each in turn. Returns what it heard. */
async function envelope(peer: Peer, ...replies: string[]): Promise<string[]> {
  const heard: string[] = [];
  for (const reply of replies) {
    heard.push(await peer.line());
    peer.send(reply);
  }
  return heard;
}

/** Reads the message up to its final dot. */
async function content(peer: Peer): Promise<string[]> {
  const lines: string[] = [];
  for (let line = await peer.line(); line !== '.'; line = await peer.line()) lines.push(line);
  return lines;
}

async function message(peer: Peer, ...replies: string[]): Promise<string[]> {
  const lines = await content(peer);
  for (const reply of replies) peer.send(reply);
  return lines;
}

const ACCEPTED = ['250 2.1.0 Ok', '250 2.1.5 Ok', '354 go on'] as const;

const at = (server: Scripted, protocol: 'smtp' | 'lmtp' = 'smtp') => ({
  protocol,
  host: '127.0.0.1',
  port: server.port,
});

function keeper(address: Parameters<typeof keeperAt>[0], timeouts: KeeperOptions['timeouts'] = {}) {
  return keeperAt(address, { name: 'pecd.example', timeouts });
}

/** Both ends of one delivery: what came of it, and that the script was followed to its end. */
async function delivering(
  script: (peer: Peer) => Promise<void>,
  envelope: SmtpEnvelope = to(B),
  protocol: 'smtp' | 'lmtp' = 'smtp',
  body: AsyncIterable<Buffer> = hello(),
) {
  await using server = await scripted(script);
  await using client = keeper(at(server, protocol), { connect: 300, silence: 300 });
  return await client.deliver(envelope, body);
}

describe('SMTP: one message', () => {
  it('with PIPELINING and without, the same conversation', async () => {
    for (const features of [FULL, ['8BITMIME'], []]) {
      const heard: string[] = [];
      const answers = await delivering(
        async peer => {
          await greet(peer, features);
          heard.push(...(await envelope(peer, '250 2.1.0 Ok', '250 2.1.5 Ok', '250 2.1.5 Ok', '354 go on')));
          heard.push(...(await message(peer, '250-2.0.0 Ok:', '250 2.0.0 queued as 4711')));
        },
        to(B, C),
      );
      assert.deepEqual(heard, [
        `MAIL FROM:<a@alfa.example>${features.includes('8BITMIME') ? ' BODY=8BITMIME' : ''}`,
        'RCPT TO:<b@beta.example>',
        'RCPT TO:<c@beta.example>',
        'DATA',
        'Subject: x',
        '',
        'hello',
      ]);
      const said = { code: 250, enhanced: '2.0.0', text: 'Ok: queued as 4711' };
      assert.deepEqual(answers, [
        { recipient: B, ...said },
        { recipient: C, ...said },
      ]);
    }
  });

  it('from nobody', async () => {
    await delivering(
      async peer => {
        await greet(peer);
        const [mail] = await envelope(peer, ...ACCEPTED);
        assert.equal(mail, 'MAIL FROM:<> BODY=8BITMIME');
        await message(peer, '250 ok');
      },
      { from: null, to: [B] },
    );
  });

  it('a reply without enhanced status, without text, or of no known form', async () => {
    for (const [reply, said] of [
      ['250 fine', { code: 250, text: 'fine' }],
      ['250', { code: 250, text: '' }],
      ['250 2.0.0', { code: 250, enhanced: '2.0.0', text: '' }],
      ['2 what', { code: 0, text: '' }],
      ['250-2.0.0 fine\r\n550 or not', { code: 0, enhanced: '2.0.0', text: 'fine or not' }],
    ] as const) {
      const answers = await delivering(async peer => {
        await greet(peer);
        await envelope(peer, ...ACCEPTED);
        await message(peer, reply);
      });
      assert.deepEqual(answers, [{ recipient: B, ...said }]);
    }
  });
});

describe('refused', () => {
  for (const features of [FULL, []]) {
    const how = features.length > 0 ? 'pipelined' : 'step by step';
    const unasked = (count: number) => (features.length > 0 ? Array(count).fill('503 5.5.1 no MAIL') : []);

    it(`at MAIL: for all (${how})`, async () => {
      const answers = await delivering(
        async peer => {
          await greet(peer, features);
          await envelope(peer, '451 4.3.2 later', ...unasked(3));
          await peer.closed();
        },
        to(B, C),
      );
      const said = { code: 451, enhanced: '4.3.2', text: 'later' };
      assert.deepEqual(answers, [
        { recipient: B, ...said },
        { recipient: C, ...said },
      ]);
    });

    it(`at every RCPT: each its own (${how})`, async () => {
      const answers = await delivering(
        async peer => {
          await greet(peer, features);
          await envelope(
            peer,
            '250 ok',
            '550-5.1.1 no\r\n550 5.1.1 such user',
            '450 4.2.0 busy',
            ...unasked(1),
          );
          await peer.closed();
        },
        to(B, C),
      ).catch(error => error);
      assert.deepEqual(answers, [
        { recipient: B, code: 550, enhanced: '5.1.1', text: 'no such user' },
        { recipient: C, code: 450, enhanced: '4.2.0', text: 'busy' },
      ]);
    });

    for (const [where, replies, final] of [
      ['at DATA', ['451 4.3.1 full'], undefined],
      ['after the dot', ['354 go on'], '451 4.3.1 full'],
    ] as const)
      it(`${where}: for those accepted at RCPT (${how})`, async () => {
        const answers = await delivering(
          async peer => {
            await greet(peer, features);
            await envelope(peer, '250 ok', '250 ok', '550 5.1.1 no', '250 ok', ...replies);
            if (final !== undefined) await message(peer, final);
            await peer.closed();
          },
          to(B, C, D),
        );
        assert.deepEqual(
          answers.map(({ recipient, code, text }) => [recipient, code, text]),
          [
            [B, 451, 'full'],
            [C, 550, 'no'],
            [D, 451, 'full'],
          ],
        );
      });

    it(`one recipient among others (${how})`, async () => {
      const answers = await delivering(
        async peer => {
          await greet(peer, features);
          await envelope(peer, '250 ok', '250 ok', '550 5.1.1 no', '354 go on');
          await message(peer, '250 2.0.0 queued');
        },
        to(B, C),
      );
      assert.deepEqual(
        answers.map(({ recipient, code }) => [recipient, code]),
        [
          [B, 250],
          [C, 550],
        ],
      );
    });
  }

  it('one recipient put off among others: all are put off, and the message is not sent', async () => {
    const answers = await delivering(
      async peer => {
        await greet(peer);
        await envelope(peer, '250 ok', '250 ok', '450 4.2.0 busy', '550 5.1.1 unknown', '354 go on');
        await peer.closed();
      },
      to(B, C, D),
    );
    assert.deepEqual(answers, [
      { recipient: B, code: 450, enhanced: '4.2.0', text: 'busy' },
      { recipient: C, code: 450, enhanced: '4.2.0', text: 'busy' },
      { recipient: D, code: 550, enhanced: '5.1.1', text: 'unknown' },
    ]);
  });

  it('in mid-message: the refusal counts, and the rest is not sent', async () => {
    const answers = await delivering(
      async peer => {
        await greet(peer);
        await envelope(peer, ...ACCEPTED);
        await peer.line();
        peer.send('554 5.6.0 I do not like this');
        await assert.rejects(content(peer), /closed/);
      },
      to(B),
      'smtp',
      (async function* () {
        yield Buffer.from('Subject: x\r\n');
        await new Promise(() => {});
      })(),
    );
    assert.deepEqual(answers, [{ recipient: B, code: 554, enhanced: '5.6.0', text: 'I do not like this' }]);
  });
});

describe('a 2xx that nobody asked for is not success', () => {
  it('to DATA', async () => {
    const script = async (peer: Peer) => {
      await greet(peer);
      await envelope(peer, '250 ok', '250 ok', '250 ok');
      await assert.rejects(peer.line(), /closed/);
    };
    await assert.rejects(delivering(script), /unexpected reply to DATA: 250 ok/);
  });

  it('before the end of the message', async () => {
    const script = async (peer: Peer) => {
      await greet(peer);
      await envelope(peer, ...ACCEPTED);
      peer.send('250 2.0.0 queued');
      await assert.rejects(content(peer), /closed/);
    };
    const held = (async function* () {
      yield Buffer.from('Subject: x\r\n');
      await new Promise(() => {});
    })();
    await assert.rejects(
      delivering(script, to(B), 'smtp', held),
      /answer before the end of the message: 250/,
    );
  });
});

describe('LMTP', () => {
  it('one answer per recipient, those refused at RCPT included', async () => {
    const answers = await delivering(
      async peer => {
        await greet(peer, FULL, /^LHLO pecd\.example$/);
        await envelope(peer, '250 ok', '250 ok', '550 5.1.1 unknown', '250 ok', '354 go on');
        await message(peer, '250 2.0.0 stored', '452 4.2.2 mailbox full');
      },
      to(B, C, D),
      'lmtp',
    );
    assert.deepEqual(answers, [
      { recipient: B, code: 250, text: '' },
      { recipient: C, code: 550, enhanced: '5.1.1', text: 'unknown' },
      { recipient: D, code: 452, enhanced: '4.2.2', text: 'mailbox full' },
    ]);
    const { custody, rejections, undecided } = verdictOf(answers);
    assert.deepEqual([custody?.recipients, rejections.length, undecided.length], [[B], 1, 1]);
  });

  it('a recipient given twice is sent once and answered twice', async () => {
    const twice = box('B@beta.example');
    const answers = await delivering(
      async peer => {
        await greet(peer, FULL, /^LHLO /);
        await envelope(peer, '250 ok', '250 ok', '354 go on');
        await message(peer, '550 5.2.1 closed');
      },
      to(B, twice),
      'lmtp',
    );
    assert.deepEqual(
      answers.map(({ recipient, code }) => [recipient, code]),
      [
        [B, 550],
        [twice, 550],
      ],
    );
  });

  it('over a Unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pecd-lmtp-'));
    const path = join(directory, 'lmtp');
    const server = createServer(async socket => {
      const peer = peerOn(socket);
      await greet(peer, [], /^LHLO /);
      await envelope(peer, ...ACCEPTED);
      await message(peer, '250 2.0.0 stored');
      await peer.expect(/^QUIT$/);
      socket.end('221 bye\r\n');
    });
    try {
      await using client = keeper({ protocol: 'lmtp', path });
      await assert.rejects(client.deliver(to(B), hello()), { message: new RegExp(`^${path}: .*ENOENT`) });
      server.listen(path);
      await once(server, 'listening');
      const said = { code: 250, enhanced: '2.0.0', text: 'stored' };
      assert.deepEqual(await client.deliver(to(B), hello()), [{ recipient: B, ...said }]);
    } finally {
      server.close();
      rmSync(directory, { recursive: true });
    }
  });
});

/** Goes through a delivery up to `step`, then does as it is told. */
const STEPS = ['greeting', 'EHLO', 'MAIL', 'DATA', 'mid-message', 'dot'] as const;
async function upTo(step: (typeof STEPS)[number], peer: Peer): Promise<void> {
  if (step === 'greeting') return;
  peer.send('220 mta.example');
  await peer.line();
  if (step === 'EHLO') return;
  peer.send('250 mta.example');
  await peer.line();
  if (step === 'MAIL') return;
  peer.send('250 ok');
  await peer.line();
  peer.send('250 ok');
  await peer.line();
  if (step === 'DATA') return;
  peer.send('354 go on');
  await peer.line();
  if (step === 'mid-message') return;
  await content(peer);
}

describe('nobody knows', { concurrency: true }, () => {
  for (const step of STEPS) {
    it(`the keeper hangs up at: ${step}`, () =>
      assert.rejects(
        delivering(async peer => {
          await upTo(step, peer);
          peer.destroy();
        }),
        /^Error: 127\.0\.0\.1:\d+: .*(closed|ECONNRESET|EPIPE)/,
      ));
    it(`the keeper falls silent at: ${step}`, () =>
      assert.rejects(
        delivering(async peer => {
          await upTo(step, peer);
          await peer.closed();
        }),
        /^Error: 127\.0\.0\.1:\d+: (Timeout|Greeting never received|Connection timeout)/,
      ));
  }

  it('nobody listens', async () => {
    const server = await scripted(async () => {});
    await server[Symbol.asyncDispose]();
    await assert.rejects(keeper(at(server)).deliver(to(B), hello()), {
      message: new RegExp(`^127\\.0\\.0\\.1:${server.port}: .*ECONNREFUSED`),
    });
  });

  for (const greeting of ['554 5.7.1 not you', '421 4.3.2 later', 'hello?'])
    it(`the greeting is: ${greeting}`, () =>
      assert.rejects(
        delivering(async peer => {
          peer.send(greeting);
          await peer.closed();
        }),
        new RegExp(greeting.replace('?', '\\?')),
      ));
});

describe('the final dot is never sent', () => {
  const cut = async (peer: Peer) => {
    await greet(peer);
    await envelope(peer, ...ACCEPTED);
    const lines: string[] = [];
    await assert.rejects(async () => {
      for (;;) lines.push(await peer.line());
    }, /closed/);
    assert.ok(!lines.includes('.'), 'no dot');
    assert.ok(lines.includes('Subject: x'), 'but the beginning');
  };

  it('when the message throws; the error comes through as it is', async () => {
    for (const error of [new Refusal('badBytes', 'NUL'), new TypeError('broken'), 'not even an error']) {
      const before = error instanceof Error ? Object.keys(error) : [];
      const broken = (async function* () {
        yield Buffer.from('Subject: x\r\n\r\n');
        yield Buffer.from('half\r\n');
        throw error;
      })();
      await assert.rejects(delivering(cut, to(B), 'smtp', broken), thrown => thrown === error);
      if (error instanceof Error) assert.deepEqual(Object.keys(error), before);
    }
  });

  it('when the signal aborts', async () => {
    await using server = await scripted(cut);
    await using client = keeper(at(server));
    const aborting = new AbortController();
    const reason = new Error('the client is gone');
    const held = (async function* () {
      yield Buffer.from('Subject: x\r\n\r\n');
      setTimeout(() => aborting.abort(reason), 20);
      await new Promise(() => {});
    })();
    await assert.rejects(client.deliver(to(B), held, { signal: aborting.signal }), error => error === reason);
  });
});

describe('the signal', () => {
  it('ends the wait for a connection, for a reply, and an attempt that has not begun', async () => {
    for (const step of ['greeting', 'MAIL'] as const) {
      const aborting = new AbortController();
      const reason = new Error('enough');
      await using server = await scripted(async peer => {
        await upTo(step, peer);
        aborting.abort(reason);
        await peer.closed();
      });
      await using client = keeper(at(server));
      await assert.rejects(
        client.deliver(to(B), hello(), { signal: aborting.signal }),
        error => error === reason,
      );
      await assert.rejects(
        client.deliver(to(B), hello(), { signal: aborting.signal }),
        error => error === reason,
      );
      assert.equal(server.connections(), 1);
    }
  });

  it('does not end the wait for the answer to the final dot: the keeper may have the message', async () => {
    const aborting = new AbortController();
    await using server = await scripted(async peer => {
      await upTo('dot', peer);
      aborting.abort(new Error('enough'));
      peer.send('250 2.0.0 queued');
      await peer.closed();
    });
    await using client = keeper(at(server), { idle: 50 });
    const answers = await client.deliver(to(B), hello(), { signal: aborting.signal });
    assert.deepEqual(answers, [{ recipient: B, code: 250, enhanced: '2.0.0', text: 'queued' }]);
  });

  it('an indispensable recipient that is refused: nobody gets the message', async () => {
    await using server = await scripted(async peer => {
      await greet(peer);
      await envelope(peer, '250 ok', '250 ok', '550 5.1.1 unknown', '354 go on');
      await peer.closed();
    });
    await using client = keeper(at(server));
    const answers = await client.deliver(to(B, C), hello(), { indispensable: [C] });
    const said = { code: 550, enhanced: '5.1.1', text: 'unknown' };
    assert.deepEqual(answers, [
      { recipient: B, ...said },
      { recipient: C, ...said },
    ]);
  });
});

describe('connections', () => {
  const one = async (peer: Peer) => {
    await envelope(peer, ...ACCEPTED);
    await message(peer, '250 2.0.0 queued');
  };

  it('are used again, and closed with QUIT when idle', async () => {
    await using server = await scripted(async peer => {
      await greet(peer);
      await one(peer);
      await one(peer);
      await peer.expect(/^QUIT$/);
      peer.send('221 bye');
      await peer.closed();
    });
    await using client = keeper(at(server), { idle: 50 });
    await client.deliver(to(B), hello());
    await client.deliver(to(C), hello());
    assert.equal(server.connections(), 1);
  });

  it('are not shared by two messages at once', async () => {
    await using server = await scripted(async peer => {
      await greet(peer);
      await one(peer);
      await peer.expect(/^QUIT$/);
    });
    await using client = keeper(at(server));
    await Promise.all([client.deliver(to(B), hello()), client.deliver(to(C), hello())]);
    assert.equal(server.connections(), 2);
  });

  it('that the keeper closed meanwhile are replaced', async () => {
    const endings: ((peer: Peer) => Promise<void>)[] = [
      async peer => peer.end(),
      async peer => {
        peer.send('421 4.4.2 idle for too long');
        peer.end();
      },
      async peer => {
        await peer.line();
        peer.destroy();
      },
      async peer => {
        await peer.line();
        peer.send('421 4.3.2 closing');
        peer.end();
      },
    ];
    for (const ending of endings) {
      await using server = await scripted(async (peer, connection) => {
        await greet(peer);
        await one(peer);
        if (connection === 1) await ending(peer);
        else await peer.expect(/^QUIT$/);
      });
      await using client = keeper(at(server));
      await client.deliver(to(B), hello());
      const [answer] = await client.deliver(to(C), hello());
      assert.equal(answer?.code, 250);
      assert.equal(server.connections(), 2);
    }
  });

  it('on which something was refused are not used again: a transaction may still be open there', async () => {
    await using server = await scripted(async (peer, connection) => {
      await greet(peer);
      if (connection === 2) {
        await one(peer);
        await peer.expect(/^QUIT$/);
      } else {
        await envelope(peer, '250 ok', '550 5.1.1 no', '554 5.5.1 no recipients');
        await peer.closed();
      }
    });
    await using client = keeper(at(server));
    assert.equal((await client.deliver(to(B), hello()))[0]?.code, 550);
    assert.equal((await client.deliver(to(C), hello()))[0]?.code, 250);
    assert.equal(server.connections(), 2);
  });

  it('that break once the message has begun are not: it might come twice', async () => {
    await using server = await scripted(async peer => {
      await greet(peer);
      await one(peer);
      await envelope(peer, ...ACCEPTED);
      await content(peer);
      peer.destroy();
    });
    await using client = keeper(at(server));
    await client.deliver(to(B), hello());
    await assert.rejects(client.deliver(to(C), hello()), /closed|ECONNRESET/);
    assert.equal(server.connections(), 1);
  });

  it('to another machine go under TLS if that is offered, whatever the certificate', async () => {
    const certificate = throwawayCertificate('mta.example');
    for (const offered of [true, false]) {
      await using server = await scripted(async peer => {
        await greet(peer, offered ? [...FULL, 'STARTTLS'] : FULL);
        if (offered) {
          await peer.expect(/^STARTTLS$/);
          peer.send('220 go ahead');
          peer.acceptTls(certificate);
          await peer.expect(/^EHLO /);
          peer.send('250 mta.example');
        }
        await one(peer);
        await peer.expect(/^QUIT$/);
      });
      // this machine, by a name that does not say so
      await using client = keeper({ ...at(server), host: '::ffff:127.0.0.1' });
      const [answer] = await client.deliver(to(B), hello());
      assert.equal(answer?.code, 250);
    }
  });

  it('on this machine stay in the clear', async () => {
    const [answer] = await delivering(async peer => {
      await greet(peer, [...FULL, 'STARTTLS']);
      await one(peer);
    });
    assert.equal(answer?.code, 250);
  });
});

describe('bytes', () => {
  it('arrive as they were: dots, any chunks, 8 bits; a last line without end gets one', async () => {
    let arrived = Buffer.alloc(0);
    await using listener = await listen(
      {
        async mail() {},
        async recipient() {},
        async message(_envelope, bytes) {
          arrived = Buffer.concat(await collected(bytes));
          return [{ code: 250, text: '2.0.0 Ok' }];
        },
      },
      {
        point: 'incoming',
        protocol: 'smtp',
        address: '127.0.0.1',
        port: 0,
        tls: 'none',
        eightBit: 'announced',
        maxSize: 1e6,
        limits: { connections: 5, recipients: 5 },
        name: 'mx.beta.example',
      },
      createEvents({ destination: { write: () => {} } }),
    );
    await using client = keeper({ protocol: 'smtp', host: '127.0.0.1', port: listener.port });
    const piece = fc.constantFrom(
      '.',
      '..',
      '\r\n',
      '\r\n.',
      '\r\n.\r\n',
      'a',
      '\xe8',
      'MAIL FROM:<>',
      '\r\n\r\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(piece, { minLength: 1 })), async chunks => {
        const whole = chunks.flat().join('');
        // one byte at a time at every CRLF: the seams that matter
        await client.deliver(to(B), bytes(...chunks.flatMap(chunk => chunk.join('').split(/(?<=\r)/))));
        assert.equal(arrived.toString('latin1'), whole.endsWith('\r\n') ? whole : `${whole}\r\n`);
      }),
      { numRuns: 60 },
    );
  });

  it('are taken no faster than the keeper reads them', async () => {
    const CHUNK = Buffer.alloc(65_536, `${'x'.repeat(62)}\r\n`);
    const COUNT = 768; // 48 MB: kernel buffers take some of it
    let taken = 0;
    const big = async function* () {
      for (; taken < COUNT; taken++) yield CHUNK;
    };
    let received = 0;
    await using server = await scripted(async peer => {
      await greet(peer);
      await envelope(peer, ...ACCEPTED.slice(0, 2));
      await peer.line();
      peer.pause();
      peer.send('354 go on');
      let before = -1;
      while (taken === 0 || taken !== before) {
        before = taken;
        await delay(50);
      }

      assert.ok(taken < COUNT / 2, `${taken} chunks taken while nobody read`);
      received = await peer.drain(/\r\n\.\r\n$/);
      peer.send('250 2.0.0 queued');
    });
    await using client = keeper(at(server));
    const [answer] = await client.deliver(to(B), big());
    assert.equal(answer?.code, 250);
    assert.equal(received, COUNT * CHUNK.length + '.\r\n'.length);
  });
});
