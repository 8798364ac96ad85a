// Anna at Alfa's access point: with nodemailer for whole messages, by hand for what no decent client would do
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createTransport } from 'nodemailer';
import type { Member, Network } from '../../src/demo/network.ts';

export const ANNA = 'anna@pec.alfa.example';
export const BRUNO = 'bruno@pec.beta.example';

export const message = [
  'Message-ID: <client-1@pec.alfa.example>',
  `From: ${ANNA}`,
  `To: ${BRUNO}`,
  'Subject: Prova',
  '',
  'Testo',
  '',
].join('\r\n');

function account({ plan }: Member, user: string) {
  const password = plan.accounts.find(({ address }) => address === user)?.password ?? assert.fail();
  return { user, pass: password };
}

/** Resolves to the reply to the final dot; rejects with the server's refusal. */
export async function submitAs(
  member: Member,
  user: string,
  raw: string | Readable,
  to: readonly string[],
): Promise<string> {
  const transport = createTransport({
    host: '127.0.0.1',
    port: member.plan.ports.submission,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
    auth: account(member, user),
  });
  const { response } = await transport.sendMail({ envelope: { from: user, to: [...to] }, raw });
  return response;
}

/** Anna submits at Alfa, as in `submitAs`. */
export function submit({ alfa }: Network, raw: string | Readable, to = [BRUNO]): Promise<string> {
  return submitAs(alfa, ANNA, raw, to);
}

export interface Conversation {
  readonly socket: Socket;
  /** Sends a line, resolves to the last line of the reply. */
  say(line: string): Promise<string>;
}

/** Logged in, with MAIL and RCPT done and DATA begun. */
export async function inData(network: Network): Promise<Conversation> {
  const plain = connect(network.alfa.plan.ports.submission, '127.0.0.1');
  const first = conversation(plain);
  await first.reply();
  await first.say('EHLO client.example');
  assert.match(await first.say('STARTTLS'), /^220/);
  first.close();
  const socket = connectTls({ socket: plain, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { user, pass } = account(network.alfa, ANNA);
  const talk = conversation(socket);
  await talk.say('EHLO client.example');
  const secret = Buffer.from(`\0${user}\0${pass}`).toString('base64');
  assert.match(await talk.say(`AUTH PLAIN ${secret}`), /^235/);
  assert.match(await talk.say(`MAIL FROM:<${ANNA}>`), /^250/);
  assert.match(await talk.say(`RCPT TO:<${BRUNO}>`), /^250/);
  assert.match(await talk.say('DATA'), /^354/);
  return { socket, say: talk.say };
}

function conversation(socket: Socket) {
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  const coming = lines[Symbol.asyncIterator]();
  const reply = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await coming.next();
      if (done || value === undefined) throw new Error('the server hung up');
      if (/^\d{3} /.test(value)) return value;
    }
  };
  return {
    reply,
    say(line: string) {
      socket.write(`${line}\r\n`);
      return reply();
    },
    close: () => lines.close(),
  };
}
