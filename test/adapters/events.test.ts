// Each event is a line and a metric, whatever becomes of either
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registry } from 'prom-client';
import { createEvents } from '../../src/adapters/events.ts';
import type { Session } from '../../src/points/ports.ts';

const session: Session = { id: 's1', login: 'anna', gone: new AbortController().signal };

it('one line and one metric for each', async () => {
  const lines: Record<string, unknown>[] = [];
  const registry = new Registry();
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const events = createEvents({ destination, registry, level: 'debug' });
  events.listening('access', '127.0.0.1', 587);
  events.connectionOpened('access', 's1');
  events.connectionOpened('access', 's2');
  events.connectionClosed('access', 's2');
  events.authFailed('access', 's1', 'anna');
  events.refused('access', session, { code: 550, text: '5.7.1 no\nway' });
  events.accepted('access', session, { text: '2.0.0 Ok', recipients: 2, size: 100, ms: 30 });
  events.trouble('access listener', new TypeError('bug'), 's1');
  events.trouble('access listener', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
  events.receiptSent('accettazione', 40);
  events.receiptFailed('accettazione', 2, 'odd');
  events.redisLost();
  events.ready();
  events.draining();
  events.orphan('t1');
  assert.deepEqual(
    lines.map(({ event }) => event),
    [
      'listening',
      'connection-opened',
      'connection-opened',
      'connection-closed',
      'auth-failed',
      'refused',
      'accepted',
      'trouble',
      'trouble',
      'receipt-sent',
      'receipt-failed',
      'redis-lost',
      'ready',
      'draining',
      'orphan',
    ],
  );
  const [bug, away] = lines
    .filter(({ event }) => event === 'trouble')
    .map(({ error }) => error as Record<string, unknown>);
  assert.match(String(bug?.stack), /events\.test/);
  assert.deepEqual(away, { message: 'refused', code: 'ECONNREFUSED' });

  const metrics = await registry.metrics();
  for (const line of [
    'pecd_connections{point="access"} 1',
    'pecd_auth_failures_total{point="access"} 1',
    'pecd_refused_total{point="access",code="550"} 1',
    'pecd_accepted_seconds_count{point="access"} 1',
    'pecd_troubles_total{where="access listener"} 2',
    'pecd_receipts_sent_seconds_sum{kind="accettazione"} 0.04',
    'pecd_receipt_failures_total{kind="accettazione"} 1',
    'pecd_redis_up 0',
    'pecd_serving 0',
    'pecd_orphans_total 1',
  ])
    assert.ok(metrics.split('\n').includes(line), line);
});

it('a log that cannot be written stops neither the mail nor the metric', async () => {
  const registry = new Registry();
  const destination = {
    write() {
      throw new Error('no space left on device');
    },
  };
  createEvents({ destination, registry }).orphan('t1');
  assert.match(await registry.metrics(), /^pecd_orphans_total 1$/m);
});
