// Operational events: one JSON line (pino) and one metric (prom-client) for each. Telling an event never throws
import { type DestinationStream, destination, type Level, pino } from 'pino';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Events } from '../points/events.ts';

export interface EventsOptions {
  /** Where the lines go: standard output unless given. */
  readonly destination?: DestinationStream;
  /** Where the metrics are collected for `/metrics`. */
  readonly registry?: Registry;
  /** Least level that is written: `info`. Single connections are told at `debug`. */
  readonly level?: Level;
}

const SECONDS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

/** Creates the metrics in `registry` (which must not have them yet). */
export function createEvents(options: EventsOptions = {}): Events {
  const log = pino(
    { base: null, level: options.level ?? 'info', timestamp: () => `,"time":"${new Date().toISOString()}"` },
    options.destination ?? standardOutput(),
  );
  const registers = [options.registry ?? new Registry()];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: `pecd_${name}_total`, help, labelNames, registers });
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `pecd_${name}`, help, labelNames, registers });
  const seconds = (name: string, help: string, ...labelNames: string[]) =>
    new Histogram({ name: `pecd_${name}_seconds`, help, labelNames, registers, buckets: SECONDS });

  const listeners = gauge('listeners', 'Sockets that a point listens on', 'point');
  const connections = gauge('connections', 'Open connections', 'point');
  const authFailures = counter('auth_failures', 'Logins refused', 'point');
  const refusals = counter('refused', '4xx and 5xx replies given', 'point', 'code');
  const acceptances = seconds('accepted', 'Messages taken: from DATA to the reply', 'point');
  const troubles = counter('troubles', 'Errors that no rule foresees', 'where');
  const receipts = seconds('receipts_sent', 'Receipts sent: from due to handed over', 'kind');
  const receiptFailures = counter('receipt_failures', 'Attempts at a receipt that failed', 'kind');
  const oddities = counter('directory_oddities', 'Faults of form in the provider directory');
  const redis = gauge('redis_up', '1 while Redis answers');
  const serving = gauge('serving', '1 between ready and draining');
  const orphans = counter('orphans', 'Intents without outcome');

  /** A log or a metric that fails must not fail the mail. */
  const tell = (level: Level, event: string, fields: object, count: () => void) => {
    try {
      log[level]({ event, ...fields });
    } catch {}
    try {
      count();
    } catch {}
  };

  return {
    listening: (point, address, port) =>
      tell('info', 'listening', { point, address, port }, () => listeners.inc({ point })),
    connectionOpened: (point, session) =>
      tell('debug', 'connection-opened', { point, session }, () => connections.inc({ point })),
    connectionClosed: (point, session) =>
      tell('debug', 'connection-closed', { point, session }, () => connections.dec({ point })),
    authFailed: (point, session, login) =>
      tell('warn', 'auth-failed', { point, session, login }, () => authFailures.inc({ point })),
    refused: (point, { id: session, login }, { code, text }) =>
      tell('info', 'refused', { point, session, login, code, text }, () => refusals.inc({ point, code })),
    accepted: (point, { id: session, login }, message) =>
      tell('info', 'accepted', { point, session, login, ...message }, () =>
        acceptances.observe({ point }, message.ms / 1000),
      ),
    trouble: (where, error, session) =>
      tell('error', 'trouble', { where, session, error: described(error) }, () => troubles.inc({ where })),
    oddity: what => tell('warn', 'directory-oddity', { what }, () => oddities.inc()),
    receiptSent: (kind, ms) =>
      tell('info', 'receipt-sent', { kind, ms }, () => receipts.observe({ kind }, ms / 1000)),
    receiptFailed: (kind, attempt, error) =>
      tell('warn', 'receipt-failed', { kind, attempt, error: described(error) }, () =>
        receiptFailures.inc({ kind }),
      ),
    redisLost: () => tell('error', 'redis-lost', {}, () => redis.set(0)),
    redisBack: () => tell('info', 'redis-back', {}, () => redis.set(1)),
    ready: () => tell('info', 'ready', {}, () => serving.set(1)),
    draining: () => tell('info', 'draining', {}, () => serving.set(0)),
    orphan: transaction => tell('error', 'orphan', { transaction }, () => orphans.inc()),
  };
}

/** A full disk or a closed pipe under the log is an 'error' event, which would end the process if nobody listened. */
function standardOutput(): DestinationStream {
  const stream = destination({ dest: 1, sync: false });
  stream.on('error', () => {});
  return stream;
}

/** The stack only where no code says what went wrong: a refused connection needs none. */
function described(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return { message, ...(code === undefined ? { stack } : { code }), ...(cause !== undefined && { cause }) };
}
