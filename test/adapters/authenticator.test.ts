// Logging in at the MTA: a scripted MTA for each of its answers
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { relayAuthenticator } from '../../src/adapters/authenticator.ts';
import { type Peer, scripted, throwawayCertificate } from '../smtp-peer.ts';

const PLAIN = Buffer.from('\0anna\0geheim').toString('base64');

async function hello(peer: Peer, ...features: string[]): Promise<void> {
  peer.send('220 mta.example ESMTP');
  await peer.expect(/^EHLO pecd\.example$/);
  for (const feature of ['mta.example', ...features]) peer.send(`250-${feature}`);
  peer.send('250 SIZE 1000');
}

async function check(
  script: (peer: Peer) => Promise<void>,
  login = 'anna',
  password = 'geheim',
): Promise<{ good: boolean; connections: number }> {
  await using mta = await scripted(script);
  const at = { protocol: 'smtp', host: '127.0.0.1', port: mta.port } as const;
  const authenticator = relayAuthenticator(at, { name: 'pecd.example', timeout: 300 });
  return { good: await authenticator.check(login, password), connections: mta.connections() };
}

const answering = (reply: string) => async (peer: Peer) => {
  await hello(peer, 'AUTH PLAIN LOGIN');
  assert.equal(await peer.line(), `AUTH PLAIN ${PLAIN}`);
  peer.send(reply);
  if (/^[25]35/.test(reply)) await peer.expect(/^QUIT$/);
  else await peer.closed();
};

describe('the answer to AUTH PLAIN', () => {
  it('235 is true', async () => assert.equal((await check(answering('235 2.7.0 welcome'))).good, true));
  it('535 is false', async () => assert.equal((await check(answering('535 5.7.8 no'))).good, false));
  for (const reply of [
    '454 4.7.0 backend away',
    '421 4.3.2 closing',
    '530 5.7.0 TLS first',
    '504 5.5.4 what',
    '555 x',
  ])
    it(`${reply}: nobody can tell`, () =>
      assert.rejects(check(answering(reply)), error => {
        assert.ok(error instanceof Error);
        assert.match(error.message, new RegExp(`^No login at 127\\.0\\.0\\.1:\\d+: .*${reply}`));
        assert.doesNotMatch(JSON.stringify(error) + error.stack, new RegExp(`geheim|${PLAIN}`));
        return true;
      }));
});

it('AUTH LOGIN where there is no PLAIN', async () => {
  const { good } = await check(async peer => {
    await hello(peer, 'AUTH LOGIN');
    await peer.expect(/^AUTH LOGIN$/);
    peer.send('334 VXNlcm5hbWU6');
    assert.equal(await peer.line(), Buffer.from('anna').toString('base64'));
    peer.send('334 UGFzc3dvcmQ6');
    assert.equal(await peer.line(), Buffer.from('geheim').toString('base64'));
    peer.send('235 2.7.0 welcome');
    await peer.expect(/^QUIT$/);
  });
  assert.equal(good, true);
});

it('to another machine no password goes without TLS, nor under a certificate that nobody vouches for', async () => {
  const certificate = throwawayCertificate('mta.example');
  for (const [certified, message] of [
    [false, /STARTTLS/],
    [true, /self-signed/],
  ] as const) {
    const heard: string[] = [];
    await using mta = await scripted(async peer => {
      await hello(peer, 'AUTH PLAIN', ...(certified ? ['STARTTLS'] : []));
      heard.push(await peer.line());
      peer.send(certified ? '220 2.0.0 go ahead' : '502 5.5.1 no');
      if (certified) peer.acceptTls(certificate);
      await peer.closed();
    });
    // this machine, by a name that does not say so
    const at = { protocol: 'smtp', host: '::ffff:127.0.0.1', port: mta.port } as const;
    await assert.rejects(relayAuthenticator(at, { name: 'pecd.example' }).check('anna', 'geheim'), {
      message,
    });
    assert.deepEqual(heard, ['STARTTLS']);
  }
});

it('credentials that AUTH PLAIN cannot carry are not tried', async () => {
  const never = async () => assert.fail('nobody should call');
  for (const [login, password] of [
    ['', 'x'],
    ['anna', ''],
    ['anna', 'a\0b'],
    ['x\0anna', 'a'],
  ] as const)
    assert.deepEqual(await check(never, login, password), { good: false, connections: 0 });
});

describe('nobody can tell', { concurrency: true }, () => {
  it('without AUTH', () =>
    assert.rejects(
      check(peer => hello(peer)),
      /offers no AUTH/,
    ));
  it('on a greeting of 554', () =>
    assert.rejects(
      check(async peer => peer.send('554 go away')),
      /554 go away/,
    ));
  it('on silence', () =>
    assert.rejects(
      check(peer => peer.closed()),
      /Timeout|Greeting never received/,
    ));
  it('on silence after AUTH', () =>
    assert.rejects(
      check(async peer => {
        await hello(peer, 'AUTH PLAIN');
        await peer.closed();
      }),
      /Timeout/,
    ));
  it('when the MTA hangs up', () =>
    assert.rejects(
      check(async peer => {
        await hello(peer, 'AUTH PLAIN');
        await peer.expect(/^AUTH /);
        peer.destroy();
      }),
      /closed/,
    ));
  it('when nobody listens', async () => {
    const mta = await scripted(async () => {});
    await mta[Symbol.asyncDispose]();
    const at = { protocol: 'smtp', host: '127.0.0.1', port: mta.port } as const;
    await assert.rejects(relayAuthenticator(at, { name: 'x.example' }).check('a', 'b'), {
      message: new RegExp(`^No login at 127\\.0\\.0\\.1:${mta.port}: .*ECONNREFUSED`),
    });
  });
});
