// The listener against real sockets: conversations as text, a door that records what it is asked
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { createEvents } from '../../src/adapters/events.ts';
import { type Listener, type ListenerOptions, listen } from '../../src/adapters/smtp-listener.ts';
import type { Mailbox, SmtpEnvelope } from '../../src/pec/values.ts';
import { Refusal, type Reply } from '../../src/points/custody.ts';
import type { Authenticator, Door, Session } from '../../src/points/ports.ts';
import { dial, type Peer, throwawayCertificate } from '../smtp-peer.ts';

const certificate = throwawayCertificate('mx.alfa.example');
const OK: Reply = { code: 250, text: '2.0.0 Ok: done' };

interface Taken {
  readonly envelope: SmtpEnvelope;
  readonly bytes: Buffer;
  readonly session: Session;
}

interface Recording extends Door {
  readonly senders: (Mailbox | null)[];
  readonly recipients: Mailbox[];
  readonly taken: Taken[];
  /** What became of messages that did not arrive whole. */
  readonly broken: unknown[];
}

function recordingDoor(override: Partial<Door> = {}): Recording {
  const door: Recording = {
    senders: [],
    recipients: [],
    taken: [],
    broken: [],
    async mail(from) {
      door.senders.push(from);
    },
    async recipient(to) {
      door.recipients.push(to);
    },
    async message(envelope, bytes, session) {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of bytes) chunks.push(chunk);
      } catch (error) {
        door.broken.push(error);
        throw error;
      }
      door.taken.push({ envelope, bytes: Buffer.concat(chunks), session });
      return [OK];
    },
    ...override,
  };
  return door;
}

const log: Record<string, unknown>[] = [];
const events = createEvents({ destination: { write: line => void log.push(JSON.parse(line)) } });

const open: Listener[] = [];
after(async () => {
  for (const listener of open) await listener[Symbol.asyncDispose]();
});

async function started(door: Door, options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const listener = await listen(
    door,
    {
      point: 'incoming',
      protocol: 'smtp',
      address: '127.0.0.1',
      port: 0,
      tls: 'none',
      eightBit: 'announced',
      maxSize: 1_000_000,
      limits: { connections: 50, recipients: 100 },
      name: 'mx.alfa.example',
      ...options,
    },
    events,
  );
  open.push(listener);
  return listener;
}

async function greeted(port: number, hello = 'EHLO client.example'): Promise<Peer> {
  const peer = await dial(port);
  await peer.expect(/^220 mx\.alfa\.example E?S?L?MTP/);
  peer.send(hello);
  await peer.expect(/^250[ -]/);
  return peer;
}

/** Each pair: what the client sends, what it must hear. */
async function talk(peer: Peer, ...exchanges: [string, RegExp][]): Promise<void> {
  for (const [line, reply] of exchanges) {
    peer.send(line);
    await peer.expect(reply);
  }
}

const MAIL: [string, RegExp] = ['MAIL FROM:<a@alfa.example>', /^250 2\.1\.0 /];
const RCPT: [string, RegExp] = ['RCPT TO:<b@beta.example>', /^250 2\.1\.5 /];
const DATA: [string, RegExp] = ['DATA', /^354 /];

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

describe('a plain SMTP transaction', () => {
  it('gives the door addresses and bytes, and the peer the reply of the door, word by word', async () => {
    const door = recordingDoor();
    const { port } = await started(door);
    await using peer = await greeted(port);
    await talk(
      peer,
      ['MAIL FROM:<Anna@ALFA.example> SIZE=100 BODY=8BITMIME', /^250 2\.1\.0 /],
      ['RCPT TO:<b@beta.example>', /^250 2\.1\.5 /],
      ['RCPT TO:<c@beta.example>', /^250 2\.1\.5 /],
      DATA,
      ['Subject: x\r\n\r\n..dot\r\n....\r\n\xe8\r\n.', /^250 2\.0\.0 Ok: done$/],
      ['QUIT', /^221 2\.0\.0 /],
    );
    const [message] = door.taken;
    assert.deepEqual(message?.envelope, {
      from: 'Anna@alfa.example',
      to: ['b@beta.example', 'c@beta.example'],
    });
    assert.equal(message?.bytes.toString(), 'Subject: x\r\n\r\n.dot\r\n...\r\n\xe8\r\n');
    assert.equal(message?.session.login, undefined);
  });

  it('passes the bytes on whole, wherever the network cuts them', async () => {
    const door = recordingDoor();
    const { port } = await started(door);
    await using peer = await greeted(port);
    const piece = fc.constantFrom('.', '..', '\r\n', '\r', 'a', '\0', '\r\n.', '\r\n..');
    await fc.assert(
      fc.asyncProperty(fc.array(piece), fc.array(fc.nat(40)), async (pieces, cuts) => {
        const content = `${pieces.join('')}\r\n`;
        const stuffed = content.replace(/^\.|(?<=\n)\./g, '..');
        const bytes = Buffer.from(`${stuffed}.\r\n`);
        await talk(peer, MAIL, RCPT, DATA);
        let from = 0;
        for (const cut of cuts) {
          peer.send(bytes.subarray(from, from + cut));
          from += cut;
          await new Promise(setImmediate);
        }
        peer.send(bytes.subarray(from));
        await peer.expect(/^250 /);
        assert.equal(door.taken.at(-1)?.bytes.toString(), content);
      }),
      { numRuns: 60 },
    );
  });

  it('greets at once, so that nobody can talk too soon', async () => {
    // smtp-server by itself waits 100 ms, and dismisses with 421 who speaks before that
    const { port } = await started(recordingDoor());
    await using peer = await dial(port);
    peer.send('EHLO client.example');
    await peer.expect(/^220 /);
    await peer.expect(/^250/);
  });

  it('announces what it can do', async () => {
    const { port } = await started(recordingDoor(), { eightBit: 'hidden', maxSize: 12345 });
    await using hidden = await dial(port);
    await hidden.expect(/^220 /);
    hidden.send('EHLO client.example');
    assert.equal(
      await hidden.expect(/^250/),
      '250-mx.alfa.example\n250-PIPELINING\n250-ENHANCEDSTATUSCODES\n250 SIZE 12345',
    );
    await using eightBit = await dial((await started(recordingDoor())).port);
    await eightBit.expect(/^220 /);
    eightBit.send('EHLO client.example');
    assert.match(await eightBit.expect(/^250/), /250-8BITMIME\n(?!.*SMTPUTF8)/s);
  });

  it('knows the null reverse path, A-labels and what is no address', async () => {
    const door = recordingDoor();
    const { port } = await started(door);
    await using peer = await greeted(port);
    await talk(
      peer,
      ['MAIL FROM:<>', /^250 /],
      ['RCPT TO:<a@xn--mnchen-3ya.example>', /^250 /],
      ['RCPT TO:<b@1.2.example>', /^250 /],
      ['RCPT TO:<c@1.2.3>', /^250 /],
      ['RCPT TO:<d@[192.0.2.1]>', /^553 5\.1\.3 <d@\[192\.0\.2\.1\]>: not an address/],
      ['RCPT TO:<postmaster>', /^553 5\.1\.3 /],
      ['RCPT TO:<e@@example>', /^501 5\.1\.3 /],
    );
    assert.deepEqual(door.senders, [null]);
    assert.deepEqual(door.recipients, ['a@xn--mnchen-3ya.example', 'b@1.2.example', 'c@1.2.3']);
  });

  it('takes a recipient given twice once', async () => {
    const door = recordingDoor();
    const { port } = await started(door);
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, ['RCPT TO:<B@BETA.example>', /^250 /], DATA, ['.', /^250 /]);
    assert.deepEqual(door.taken[0]?.envelope.to, ['b@beta.example']);
    assert.deepEqual(door.recipients, ['b@beta.example']);
  });

  it('starts anew with each MAIL', async () => {
    const door = recordingDoor();
    const { port } = await started(door);
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, ['RSET', /^250 /], ['MAIL FROM:<c@alfa.example>', /^250 /]);
    await talk(peer, ['DATA', /^503 5\.5\.1 /], ['RCPT TO:<d@beta.example>', /^250 /], DATA, ['.', /^250 /]);
    assert.deepEqual(door.taken[0]?.envelope, { from: 'c@alfa.example', to: ['d@beta.example'] });
  });
});

describe('refusals', () => {
  it('go out as the door words them; anything else is 451 4.3.0 and told', async () => {
    const { port } = await started(
      recordingDoor({
        async mail(from) {
          if (from?.startsWith('not-me')) throw new Refusal('notYourAddress', from);
          if (from?.startsWith('broken')) throw new Error('the disk is on fire');
        },
        async recipient(to) {
          if (to.startsWith('closed')) throw new Refusal('ordinaryMail', to);
          if (to.startsWith('broken')) throw new TypeError('undefined is not a function');
        },
      }),
    );
    await using peer = await greeted(port);
    await talk(
      peer,
      ['MAIL FROM:<not-me@alfa.example>', /^550 5\.7\.1 You may not send as not-me@alfa\.example$/],
      ['MAIL FROM:<broken@alfa.example>', /^451 4\.3\.0 Temporary trouble/],
      MAIL,
      ['RCPT TO:<closed@beta.example>', /^554 5\.7\.1 <closed@beta\.example>: Messaggio rifiutato/],
      ['RCPT TO:<broken@beta.example>', /^451 4\.3\.0 /],
      ['DATA', /^503 /],
    );
    const troubles = log.filter(({ event }) => event === 'trouble').map(({ error }) => error as Error);
    assert.deepEqual(
      troubles.map(({ message }) => message),
      ['the disk is on fire', 'undefined is not a function'],
    );
    assert.ok(log.some(({ event, code }) => event === 'refused' && code === 554));
  });

  it('after the dot: the client finishes before it hears, and may go on', async () => {
    const { port } = await started(
      recordingDoor({
        async message(_envelope, bytes) {
          for await (const _ of bytes) throw new Refusal('badBytes', 'bare CR');
          return [OK];
        },
      }),
    );
    await using peer = await greeted(port);
    for (let i = 0; i < 2; i++) {
      await talk(peer, MAIL, RCPT, DATA);
      for (let part = 0; part < 9; part++) peer.send(Buffer.alloc(99_999, 'x\r\n'));
      peer.send(Buffer.from('NOOP\r\n.\r\n'));
      await peer.expect(/^550 5\.6\.0 Message refused as it stands: bare CR$/);
      await talk(peer, ['NOOP', /^250 /]);
    }
  });

  it('of a message that the door does not even look at wait for the dot, too', async () => {
    const { port } = await started(
      recordingDoor({
        message: async () => {
          throw new Refusal('keeperBusy');
        },
      }),
    );
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA);
    for (let part = 0; part < 5; part++) peer.send(Buffer.alloc(99_999, 'x\r\n'));
    peer.send('\r\n.');
    await peer.expect(/^451 4\.4\.1 /);
    await talk(peer, ['NOOP', /^250 /]);
  });

  it('too many recipients', async () => {
    const { port } = await started(recordingDoor(), { limits: { connections: 9, recipients: 1 } });
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, RCPT, ['RCPT TO:<c@beta.example>', /^452 4\.5\.3 .*at most 1 /]);
  });

  it('too many connections', async () => {
    const { port } = await started(recordingDoor(), { limits: { connections: 1, recipients: 1 } });
    await using first = await greeted(port);
    await using second = await dial(port);
    await second.expect(/^421 4\.3\.2 /);
    await second.closed();
    await talk(first, ['NOOP', /^250 /]);
  });
});

describe('size (RFC 1870)', () => {
  it('declared over the limit is refused at MAIL', async () => {
    const { port } = await started(recordingDoor(), { maxSize: 1000 });
    await using peer = await greeted(port);
    await talk(peer, ['MAIL FROM:<a@alfa.example> SIZE=1001', /^552 5\.3\.4 /]);
  });

  it('actual over the limit is refused after the dot, and the door never sees the end', async () => {
    const door = recordingDoor();
    const { port } = await started(door, { maxSize: 1000 });
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA, [`${'x'.repeat(997)}\r\n.`, /^250 /]);
    assert.equal(door.taken.length, 1);
    await talk(peer, MAIL, RCPT, DATA, [
      `${'x'.repeat(999)}\r\n.`,
      /^552 5\.3\.4 Message over the limit of 1000/,
    ]);
    assert.equal(door.taken.length, 1);
    assert.equal(door.broken.length, 1);
    await talk(peer, ['NOOP', /^250 /]);
  });

  it('is over the limit even for a door that had another reason to refuse', async () => {
    const message = () => Promise.reject(new Refusal('keeperBusy'));
    const { port } = await started(recordingDoor({ message }), { maxSize: 1000 });
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA, [`${'x'.repeat(999)}\r\n.`, /^552 5\.3\.4 /]);
  });

  it('far over the limit the connection is cut before the dot', async () => {
    const { port } = await started(recordingDoor(), { maxSize: 1000 });
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA);
    const flood = setInterval(() => peer.send(Buffer.alloc(999, 'x')), 5);
    try {
      await peer.expect(/^552 5\.3\.4 /);
      await peer.closed();
    } finally {
      clearInterval(flood);
    }
  });
});

describe('SMTP smuggling: only CRLF.CRLF ends DATA', () => {
  for (const end of [
    '\n.\n',
    '\r.\r',
    '\n.\r\n',
    '\r\n.\n',
    '\r\n.\r',
    '\r.\r\n',
    '\n\n.\r\n',
    '\r\0\n.\r\n',
  ]) {
    it(JSON.stringify(end), async () => {
      const door = recordingDoor();
      const { port } = await started(door);
      await using peer = await greeted(port);
      const content = `Subject: x\r\n\r\nbody${end}MAIL FROM:<evil@alfa.example>\r\n`;
      await talk(peer, MAIL, RCPT, DATA);
      peer.send(Buffer.from(`${content}.\r\n`));
      await peer.expect(/^250 2\.0\.0 Ok: done$/);
      await talk(peer, ['NOOP', /^250 2\.0\.0 OK/]);
      assert.equal(door.taken[0]?.bytes.toString(), content);
      assert.deepEqual(door.senders, ['a@alfa.example']);
    });
  }
});

describe('LMTP (RFC 2033)', () => {
  it('one reply per recipient, in RCPT order', async () => {
    const replies: Reply[] = [OK, { code: 451, text: '4.2.1 later' }, { code: 550, text: '5.1.1 never' }];
    const door = recordingDoor({ message: async () => replies });
    const { port } = await started(door, { protocol: 'lmtp', point: 'delivery' });
    await using peer = await greeted(port, 'LHLO client.example');
    await talk(
      peer,
      MAIL,
      RCPT,
      ['RCPT TO:<c@beta.example>', /^250 /],
      ['RCPT TO:<d@beta.example>', /^250 /],
      DATA,
    );
    peer.send('x\r\n.');
    await peer.expect(/^250 2\.0\.0 Ok: done$/);
    await peer.expect(/^451 4\.2\.1 later$/);
    await peer.expect(/^550 5\.1\.1 never$/);
    await talk(peer, ['NOOP', /^250 /]);
  });

  it('refuses the second RCPT of one recipient, whatever its case', async () => {
    const { port } = await started(recordingDoor(), { protocol: 'lmtp' });
    await using peer = await greeted(port, 'LHLO client.example');
    await talk(peer, MAIL, RCPT, ['RCPT TO:<B@Beta.Example>', /^450 4\.5\.3 <B@beta\.example>: given twice/]);
    await talk(peer, DATA, ['x\r\n.', /^250 /], ['NOOP', /^250 /]);
  });

  it('trouble, and a door that miscounts, is 451 for each', async () => {
    const doors: Partial<Door>[] = [
      { message: async () => [OK] },
      {
        message: async () => {
          throw new Error('trouble');
        },
      },
    ];
    for (const override of doors) {
      const { port } = await started(recordingDoor(override), { protocol: 'lmtp' });
      await using peer = await greeted(port, 'LHLO client.example');
      await talk(peer, MAIL, RCPT, ['RCPT TO:<c@beta.example>', /^250 /], DATA, ['x\r\n.', /^451 4\.3\.0 /]);
      await peer.expect(/^451 4\.3\.0 /);
      await talk(peer, ['NOOP', /^250 /]);
    }
  });
});

describe('the peer goes away in DATA', () => {
  it('the bytes throw, the session is gone, nothing is told as trouble', async () => {
    const door = recordingDoor();
    let seen: Session | undefined;
    const { port } = await started({
      ...door,
      message(envelope, bytes, session) {
        seen = session;
        return door.message(envelope, bytes, session);
      },
    });
    const troubles = log.filter(({ event }) => event === 'trouble').length;
    for (const leave of ['end', 'destroy'] as const) {
      door.broken.length = 0;
      const peer = await greeted(port);
      await talk(peer, MAIL, RCPT, DATA);
      peer.send('half a message');
      peer[leave]();
      await eventually(() => door.broken.length === 1, 'the bytes throw');
      await eventually(() => seen?.gone.aborted === true, 'gone');
    }
    assert.equal(door.taken.length, 0);
    assert.equal(log.filter(({ event }) => event === 'trouble').length, troubles);
  });

  it('the bytes throw as well for a door that begins to read only then', async () => {
    const door = recordingDoor();
    const { port } = await started({
      ...door,
      async message(envelope, bytes, session) {
        await once(session.gone, 'abort');
        return door.message(envelope, bytes, session);
      },
    });
    const peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA);
    peer.send('half a message');
    peer.destroy();
    await eventually(() => door.broken.length === 1, 'the bytes throw');
  });

  it('between dot and reply, too, the session is gone', async () => {
    let gone = false;
    const { port } = await started(
      recordingDoor({
        async message(_envelope, bytes, session) {
          for await (const _ of bytes);
          await once(session.gone, 'abort');
          gone = true;
          return [OK];
        },
      }),
    );
    const peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA);
    peer.send('x\r\n.');
    peer.end();
    await eventually(() => gone, 'gone');
  });
});

describe('time limits', { concurrency: true }, () => {
  it('a command that comes byte by byte does not hold the connection', async () => {
    const { port } = await started(recordingDoor(), { idleTimeout: 150 });
    await using peer = await greeted(port);
    const drip = setInterval(() => peer.send(Buffer.from('N')), 20);
    try {
      await peer.expect(/^421 4\.4\.2 /);
      await peer.closed();
    } finally {
      clearInterval(drip);
    }
  });

  it('a slow client that keeps to the time of each command may stay', async () => {
    const { port } = await started(recordingDoor(), { idleTimeout: 400 });
    await using peer = await greeted(port);
    for (let i = 0; i < 4; i++) {
      await new Promise(resolve => setTimeout(resolve, 150));
      await talk(peer, ['NOOP', /^250 /]);
    }
  });

  it('a message that comes byte by byte does not, either', async () => {
    const door = recordingDoor();
    const { port } = await started(door, { dataTimeout: 150 });
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA);
    const drip = setInterval(() => peer.send(Buffer.from('x')), 20);
    try {
      await peer.expect(/^421 4\.4\.2 /);
      await eventually(() => door.broken.length === 1, 'the bytes throw');
      await peer.closed();
    } finally {
      clearInterval(drip);
    }
  });

  it('a door may take longer than a command may', async () => {
    const { port } = await started(
      recordingDoor({ recipient: () => new Promise(resolve => setTimeout(resolve, 300)) }),
      { idleTimeout: 100 },
    );
    await using peer = await greeted(port);
    await talk(peer, MAIL, RCPT, DATA, ['x\r\n.', /^250 /]);
  });
});

const ANNA = Buffer.from('\0anna\0secret').toString('base64');
const authenticator: Authenticator = {
  async check(login, password) {
    if (login === 'broken') throw new Error('the MTA is away');
    return login === 'anna' && password === 'secret';
  },
};
const access = { point: 'access', tls: 'starttls', certificate, authenticator, eightBit: 'hidden' } as const;

describe('STARTTLS and AUTH (RFC 3207, RFC 4954)', () => {
  it('AUTH is announced, and taken, only under TLS; MAIL only after AUTH', async () => {
    const door = recordingDoor();
    const { port } = await started(door, access);
    await using peer = await dial(port);
    await peer.expect(/^220 /);
    peer.send('EHLO client.example');
    const clear = await peer.expect(/^250/);
    assert.match(clear, /STARTTLS/);
    assert.doesNotMatch(clear, /AUTH/);
    await talk(
      peer,
      [`AUTH PLAIN ${ANNA}`, /^538 5\.7\.0 /],
      [MAIL[0], /^530 5\.7\.0 Authentication required$/],
    );
    await talk(peer, ['STARTTLS', /^220 /]);
    await peer.startTls();
    peer.send('EHLO client.example');
    const secure = await peer.expect(/^250/);
    assert.match(secure, /250-AUTH LOGIN PLAIN/);
    assert.doesNotMatch(secure, /STARTTLS/);
    await talk(
      peer,
      [MAIL[0], /^530 5\.7\.0 /],
      [`AUTH PLAIN ${Buffer.from('\0anna\0wrong').toString('base64')}`, /^535 5\.7\.8 /],
      [`AUTH PLAIN ${Buffer.from('\0broken\0x').toString('base64')}`, /^451 4\.3\.0 /],
      [`AUTH PLAIN ${ANNA}`, /^235 2\.7\.0 /],
      MAIL,
      RCPT,
      DATA,
      ['x\r\n.', /^250 /],
    );
    assert.equal(door.taken[0]?.session.login, 'anna');
    assert.deepEqual(
      log.filter(({ event }) => event === 'auth-failed').map(({ login }) => login),
      ['anna'],
    );
    assert.doesNotMatch(JSON.stringify(log), /secret|wrong/);
  });

  it('what came in the clear behind STARTTLS is not a command', async () => {
    const door = recordingDoor();
    const { port } = await started(door, { tls: 'starttls', certificate });
    for (const injected of ['MAIL FROM:<evil@alfa.example>\r\n', 'NOOP\r\n'.repeat(300), 'RSET']) {
      const peer = await greeted(port);
      peer.send(Buffer.from(`STARTTLS\r\n${injected}`));
      await peer.expect(/^220 /);
      await peer.startTls();
      await talk(peer, ['EHLO client.example', /^250-mx/], ['NOOP', /^250 2\.0\.0 OK/]);
      await peer[Symbol.asyncDispose]();
    }
    assert.deepEqual(door.senders, []);
  });

  it('what was said before TLS is forgotten', async () => {
    const { port } = await started(recordingDoor(), { tls: 'starttls', certificate });
    await using peer = await greeted(port);
    await talk(peer, MAIL, ['STARTTLS', /^220 /]);
    await peer.startTls();
    await talk(peer, ['EHLO client.example', /^250/], ['RCPT TO:<b@beta.example>', /^503 /]);
  });

  it('implicit TLS; not below 1.2; a new certificate for new connections', async () => {
    const listener = await started(recordingDoor(), { tls: 'implicit', certificate });
    await using peer = await dial(listener.port, 'tls');
    await peer.expect(/^220 /);
    await talk(peer, ['EHLO c.example', /^250(?!.*STARTTLS)/s], MAIL, RCPT, DATA, ['x\r\n.', /^250 /]);

    const old = {
      port: listener.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.1',
    } as const;
    const refused = connectTls({ ...old, minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await assert.rejects(once(refused, 'secureConnect'), { code: /PROTOCOL_VERSION|ECONNRESET/ });

    const shown = async () => {
      const socket = connectTls({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return CN;
    };
    assert.equal(await shown(), 'mx.alfa.example');
    const renewed = throwawayCertificate('new.alfa.example');
    assert.throws(() => listener.updateCertificate({ ...renewed, key: certificate.key }));
    assert.equal(await shown(), 'mx.alfa.example');
    listener.updateCertificate(renewed);
    assert.equal(await shown(), 'new.alfa.example');
  });
});

describe('beginning and end', () => {
  it('says why it cannot listen', async () => {
    const { port } = await started(recordingDoor());
    await assert.rejects(started(recordingDoor(), { port }), {
      message: new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use: `),
    });
    await assert.rejects(started(recordingDoor(), { address: '192.0.2.1' }), /does not have the address/);
    await assert.rejects(started(recordingDoor(), { authenticator }), /logging in needs TLS/);
    await assert.rejects(started(recordingDoor(), { tls: 'implicit' }), /TLS needs a certificate/);
  });

  it('drains: the idle are dismissed, who is in DATA finishes, nobody comes in', async () => {
    const door = recordingDoor();
    const listener = await started(door);
    await using idle = await greeted(listener.port);
    await using started_ = await greeted(listener.port);
    await talk(started_, MAIL);
    await using busy = await greeted(listener.port);
    await talk(busy, MAIL, RCPT, DATA);
    let drained = false;
    const draining = listener.drain().then(() => {
      drained = true;
    });
    await idle.expect(/^421 4\.3\.2 /);
    await started_.expect(/^421 4\.3\.2 /);
    await assert.rejects(dial(listener.port), { code: 'ECONNREFUSED' });
    assert.equal(drained, false);
    busy.send('x\r\n.');
    await busy.expect(/^250 /);
    await busy.expect(/^421 4\.3\.2 /);
    await draining;
    assert.equal(door.taken.length, 1);
  });

  it('disposed, it cuts who is in DATA, and who is in a TLS handshake', async () => {
    const door = recordingDoor();
    const listener = await started(door, { tls: 'starttls', certificate });
    await using handshake = await greeted(listener.port);
    await talk(handshake, ['STARTTLS', /^220 /]);
    await using busy = await greeted(listener.port);
    await talk(busy, MAIL, RCPT, DATA);
    handshake.end();
    await listener[Symbol.asyncDispose]();
    await busy.closed();
    assert.equal(door.taken.length, 0);
    assert.equal(door.broken.length, 1);
  });
});
