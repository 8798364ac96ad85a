// How durations, sizes and addresses are read
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  parseDuration,
  parseHost,
  parseMailStore,
  parseNetwork,
  parseRedis,
  parseRelay,
  parseSize,
  parseSocket,
  parseWebUrl,
} from '../../src/config/notations.ts';

function table<T>(name: string, parse: (text: string) => T | undefined, rows: Record<string, T | undefined>) {
  describe(name, () => {
    for (const [text, expected] of Object.entries(rows)) {
      test(`'${text}'`, () => assert.deepEqual(parse(text), expected));
    }
  });
}

table('durations are milliseconds', parseDuration, {
  '3s': 3_000,
  '30m': 1_800_000,
  '12h': 43_200_000,
  '7d': 604_800_000,
  '1 month': 2_635_200_000,
  '30 months': 79_056_000_000,
  '0s': 0,
  3: undefined,
  s: undefined,
  '3 weeks': undefined,
  '1.5h': undefined,
  '-3s': undefined,
  '3S': undefined,
  '3constructor': undefined,
  '99999999999d': undefined,
});

table('sizes are bytes, in steps of 1024', parseSize, {
  '512B': 512,
  '256KB': 262_144,
  '30MB': 31_457_280,
  '30 MB': 31_457_280,
  '1GB': 1_073_741_824,
  30: undefined,
  '30mb': undefined,
  '30M': undefined,
  MB: undefined,
});

table('relays', parseRelay, {
  'smtp://127.0.0.1:10026': { protocol: 'smtp', host: '127.0.0.1', port: 10026 },
  'smtp://mta.alfa.example': { protocol: 'smtp', host: 'mta.alfa.example', port: 25 },
  'smtps://mta.alfa.example/': { protocol: 'smtps', host: 'mta.alfa.example', port: 465 },
  'smtp://[::1]:25': { protocol: 'smtp', host: '::1', port: 25 },
  'smtp://[mta]:25': undefined,
  'smtp://::1:25': undefined,
  'smtp://user:secret@mta.alfa.example:25': undefined,
  'smtp://mta.alfa.example:0': undefined,
  'smtp://mta.alfa.example:65536': undefined,
  'smtp://mta.alfa.example/path': undefined,
  'smtp://': undefined,
  'smtp:mta': undefined,
  'lmtp://127.0.0.1:24': undefined,
  'mta.alfa.example:25': undefined,
});

table('mail stores', parseMailStore, {
  'lmtp://127.0.0.1:2400': { protocol: 'lmtp', host: '127.0.0.1', port: 2400 },
  'lmtp://[fd00::1]': { protocol: 'lmtp', host: 'fd00::1', port: 24 },
  'lmtp:unix:/run/dovecot/lmtp': { protocol: 'lmtp', path: '/run/dovecot/lmtp' },
  'lmtp:unix:run/lmtp': undefined,
  'unix:/run/dovecot/lmtp': undefined,
  'smtp://127.0.0.1:24': undefined,
});

table('sockets', text => parseSocket(text, 3310), {
  'tcp://127.0.0.1': { host: '127.0.0.1', port: 3310 },
  'tcp://scanner:1234': { host: 'scanner', port: 1234 },
  'unix:/run/clamd.sock': { path: '/run/clamd.sock' },
  '/run/clamd.sock': undefined,
});

table('Redis URLs stay as they are', parseRedis, {
  'redis://127.0.0.1:6379/0': 'redis://127.0.0.1:6379/0',
  'redis://user:secret@redis.alfa.example': 'redis://user:secret@redis.alfa.example',
  'rediss://redis.alfa.example:6380/3': 'rediss://redis.alfa.example:6380/3',
  'unix:///run/redis.sock?db=1': 'unix:///run/redis.sock?db=1',
  'redis://127.0.0.1/name': undefined,
  'redis://127.0.0.1:99999': undefined,
  'redis://': undefined,
  'unix://run/redis.sock': undefined,
  '127.0.0.1:6379': undefined,
});

table('networks', parseNetwork, {
  '127.0.0.0/8': { address: '127.0.0.0', prefix: 8, family: 'ipv4' },
  '10.0.0.1': { address: '10.0.0.1', prefix: 32, family: 'ipv4' },
  'fd00::/8': { address: 'fd00::', prefix: 8, family: 'ipv6' },
  '::1': { address: '::1', prefix: 128, family: 'ipv6' },
  '127.0.0.0/33': undefined,
  '127.0.0/8': undefined,
  'localhost/8': undefined,
});

table('hosts', parseHost, {
  '0.0.0.0': '0.0.0.0',
  '::': '::',
  localhost: 'localhost',
  'mail.alfa.example': 'mail.alfa.example',
  '127.0.0': undefined,
  '127.0.0.256': undefined,
  '-mail': undefined,
  'mail alfa': undefined,
  '': undefined,
});

table('web addresses', parseWebUrl, {
  'https://tsa.alfa.example/': 'https://tsa.alfa.example/',
  'https://tsa.alfa.example:99999/': undefined,
  'ftp://tsa.alfa.example/': undefined,
  'tsa.alfa.example': undefined,
});
