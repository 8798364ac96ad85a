// The composition root: configuration -> adapters -> points -> listeners, on one stack that is taken down in reverse
import { hostname } from 'node:os';
import { Registry } from 'prom-client';
import { relayAuthenticator } from './adapters/authenticator.ts';
import { clamdScanner } from './adapters/clamd.ts';
import { createEvents } from './adapters/events.ts';
import { serveStatus } from './adapters/http-status.ts';
import { redisMailboxes } from './adapters/redis-mailboxes.ts';
import { startWorker } from './adapters/redis-queue.ts';
import { type KeeperAddress, keeperAt } from './adapters/smtp-client.ts';
import { type Listener, type ListenerOptions, listen } from './adapters/smtp-listener.ts';
import { openVirusStore } from './adapters/virus-store.ts';
import { required } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { openDurable } from './durable.ts';
import { loadLive } from './live.ts';
import { originOf } from './origin.ts';
import type { Issuer } from './pec/compose.ts';
import { domainOf } from './pec/values.ts';
import { type AccessPolicy, type AccessWorld, accessPoint } from './points/access-point.ts';
import { type DeliveryWorld, deliveryPoint } from './points/delivery-point.ts';
import { type IncomingWorld, incomingPoint } from './points/incoming-point.ts';
import type { Door } from './points/ports.ts';
import { forget, pay } from './points/receipt-worker.ts';

export interface App extends AsyncDisposable {
  /** Puts in force what a reload can change. Rejects, and changes nothing, if a file that it names cannot be used. */
  reload(config: Config): Promise<void>;
  /** Resolves when the drain is over: transactions finished, connections closed, all let go. */
  readonly ended: Promise<void>;
}

export interface AppSignals {
  /** No new transaction; those in DATA finish. */
  readonly drain: AbortSignal;
  /** Connections are cut. */
  readonly abort: AbortSignal;
}

/**
 * Of one message at the incoming and the delivery point, in bytes: what the access point of another provider can take,
 * grown by base64 and the envelope, and then some. The MTA behind us has the last word.
 */
const LARGEST = 200 * 1024 * 1024;

/**
 * Starts the worker, and every point that the configuration has a section for.
 * Rejects with a StartupError if that cannot be; then nothing runs.
 */
export async function startApp(config: Config, signals: AppSignals): Promise<App> {
  await using starting = new AsyncDisposableStack();
  const registry = new Registry();
  const events = createEvents({ registry });
  let live = await loadLive(config);
  for (const oddity of live.trust.oddities) events.oddity(oddity);
  const { provider, limits } = config;
  const issuer = { name: provider.name, address: provider.address };
  const { spool, journal, redis, debts, waits } = starting.use(await openDurable(config, events));
  const origin = originOf(domainOf(issuer.address));
  const antivirus = config.antivirus && {
    scanner: clamdScanner(config.antivirus.clamd),
    store: await required(78, 'virusStore', openVirusStore(config.virusStore)),
  };

  const worldAt = (address: KeeperAddress) => ({
    keeper: starting.use(keeperAt(address, { name: domainOf(issuer.address) })),
    spool,
    journal,
    debts,
    waits,
    events,
    origin,
    antivirus,
    get signer() {
      return live.signer;
    },
    get trust() {
      return live.trust;
    },
    get mailboxes() {
      return redisMailboxes(redis, live.ordinaryMail);
    },
  });

  const world = worldAt(config.receipts.relay);
  const worker = startWorker(
    config.redis.url,
    async debt => {
      await pay(world, issuer, debt);
      if (debt.kind !== 'attesa') events.receiptSent(debt.kind, Date.now() - debt.at);
    },
    { ...config.receipts, paid: debt => forget(spool, debt) },
    events,
  );
  starting.use(worker);

  const doors = doorsOf(config, issuer, worldAt, login => live.addressesOf(login));
  const name = hostname();
  const listeners: Listener[] = [];
  for (const { door, ...place } of doors) {
    const certificate = live.certificate && { certificate: live.certificate };
    listeners.push(
      starting.use(
        await required(69, place.point, listen(door, { ...place, ...certificate, limits, name }, events)),
      ),
    );
  }
  let ready = true;
  if (config.http !== undefined) {
    const isReady = () => ready && redis.status === 'ready';
    starting.use(await required(69, 'http', serveStatus(config.http.listen, registry, isReady)));
  }

  const running = starting.move();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const drained = async () => {
    ready = false;
    events.draining();
    await Promise.all(listeners.map(listener => listener.drain()));
    await running.disposeAsync();
    end();
  };
  when(signals.drain, drained);
  when(signals.abort, async () => {
    await worker.abort();
    await running.disposeAsync();
    end();
  });
  events.ready();
  return {
    ended,
    async reload(wanted) {
      const loaded = await loadLive({ ...wanted, provider });
      if (loaded.certificate !== undefined)
        for (const listener of listeners) listener.updateCertificate(loaded.certificate);
      live = loaded;
      for (const oddity of live.trust.oddities) events.oddity(oddity);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** What every door and the worker get: the keeper behind them, and what is one for all. */
type World = AccessWorld & IncomingWorld & DeliveryWorld;

type Place = { readonly door: Door } & Omit<ListenerOptions, 'limits' | 'name' | 'certificate'>;

/** The doors of the configured points, once for each place where they are to be had. */
function doorsOf(
  config: Config,
  issuer: Issuer,
  worldAt: (keeper: KeeperAddress) => World,
  addressesOf: AccessPolicy['addressesOf'],
): readonly Place[] {
  const { access, incoming, delivery, limits, provider, timeouts } = config;
  const { domains } = provider;
  const { headerSize } = limits;
  const places: Place[] = [];
  if (access !== undefined) {
    const { maxSize, maxSizeTimesRecipients, onFormalException, relay } = access;
    const { serviceMailbox } = provider;
    const sizes = { maxSizeTimesRecipients, headerSize };
    const policy = { issuer, serviceMailbox, domains, addressesOf, ...sizes, onFormalException, timeouts };
    const door = accessPoint(worldAt(relay), policy);
    const authenticator = relayAuthenticator(relay, { name: provider.domains[0] ?? '' });
    // 8-bit originals would invite a later hop to encode them anew and break the signature: clients encode for us.
    const manner = { point: 'access', protocol: 'smtp', eightBit: 'hidden', authenticator, maxSize } as const;
    for (const listener of access.listen) places.push({ door, ...manner, ...listener });
  }
  if (incoming !== undefined) {
    const door = incomingPoint(worldAt(incoming.relay), { issuer, domains, headerSize });
    const manner = { point: 'incoming', protocol: 'smtp', eightBit: 'announced', maxSize: LARGEST } as const;
    for (const listener of incoming.listen) places.push({ door, ...manner, ...listener });
  }
  if (delivery !== undefined) {
    const door = deliveryPoint(worldAt(delivery.mailStore), {
      issuer,
      domains,
      headerSize,
      idle: timeouts.idle,
    });
    const manner = { point: 'delivery', protocol: 'lmtp', eightBit: 'announced', maxSize: LARGEST } as const;
    for (const listener of delivery.listen) places.push({ door, ...manner, tls: 'none', ...listener });
  }
  return places;
}

function when(signal: AbortSignal, act: () => Promise<void>): void {
  if (signal.aborted) void act();
  else signal.addEventListener('abort', () => void act(), { once: true });
}
