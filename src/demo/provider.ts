// One complete PEC provider on loopback: Dovecot, Postfix, and the daemon between them
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { type Account, type DovecotPorts, maildirOf, startDovecot } from './dovecot.ts';
import type { Issued } from './pki.ts';
import { freePort } from './ports.ts';
import { type Route, startPostfix } from './postfix.ts';
import { Server } from './processes.ts';

// From the sources as well as from the build.
const MAIN = fileURLToPath(import.meta.resolve(`../main${extname(import.meta.url)}`));

export interface ProviderPorts extends DovecotPorts {
  /** Where users send: the access point. */
  readonly submission: number;
  readonly incoming: number;
  readonly delivery: number;
  /** Postfix. */
  readonly relay: number;
}

export interface ProviderPlan {
  readonly name: string;
  readonly domain: string;
  /** The mailboxes, the service mailbox among them. */
  readonly accounts: readonly Account[];
  readonly serviceMailbox: string;
  /** Author of all that the provider signs. */
  readonly address: string;
  /** Made if missing. All of the provider's files are below. */
  readonly folder: string;
  readonly ports: ProviderPorts;
  readonly signing: Issued;
  readonly tls: Issued;
  /** Paths: PEM of the root, LDIF of the provider directory. */
  readonly anchors: string;
  readonly directory: string;
  /** redis://HOST:PORT/DATABASE */
  readonly redis: string;
  /** Where mail for other domains goes. */
  readonly routes: readonly Route[];
}

/** Stopped by disposal, the daemon first; each server can be killed and started on its own. */
export interface Provider extends AsyncDisposable {
  readonly daemon: Server;
  readonly postfix: Server;
  readonly dovecot: Server;
  /** Path of pecd.yaml. */
  readonly configuration: string;
  /** The maildir of one of its mailboxes. */
  maildir(address: string): string;
  /** Runs `pecd` with these arguments and the provider's configuration; resolves to its standard output. */
  pecd(...args: readonly string[]): Promise<string>;
}

/** Ports that are free now, for everything that a provider listens on. */
export async function providerPorts(): Promise<ProviderPorts> {
  return {
    submission: await freePort(),
    incoming: await freePort(),
    delivery: await freePort(),
    relay: await freePort(),
    lmtp: await freePort(),
    imap: await freePort(),
    auth: await freePort(),
  };
}

/** Needs root. Resolves when the daemon says that it is ready; if one of the servers does not start, none runs. */
export async function startProvider(plan: ProviderPlan): Promise<Provider> {
  const { folder, ports, accounts } = plan;
  await using starting = new AsyncDisposableStack();
  const mailStore = join(folder, 'dovecot');
  const dovecot = starting.use(await startDovecot({ folder: mailStore, accounts, ports }));
  const postfix = starting.use(
    await startPostfix({
      folder: join(folder, 'postfix'),
      hostname: `mx.${plan.domain}`,
      domains: [plan.domain],
      port: ports.relay,
      delivery: ports.delivery,
      auth: ports.auth,
      routes: plan.routes,
    }),
  );
  const configuration = await writeConfiguration(plan);
  const daemon = starting.use(daemonOf(plan.name, configuration, join(folder, 'pecd.log')));
  await daemon.start();
  const running = starting.move();
  return {
    daemon,
    postfix,
    dovecot,
    configuration,
    maildir: address => maildirOf(mailStore, address),
    pecd: async (...args) => {
      const command = [MAIN, ...args, '-c', configuration];
      return (await promisify(execFile)(process.execPath, command)).stdout;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** `pecd run`, not started yet. */
export function daemonOf(name: string, configuration: string, log: string): Server {
  return new Server({
    name: `pecd of ${name}`,
    command: process.execPath,
    // The flag is that of the first line of main.ts, which an installed pecd is started by.
    args: ['--max-semi-space-size=2', MAIN, 'run', '-c', configuration],
    log,
    isReady: said => said.includes('"event":"ready"'),
  });
}

/** Writes pecd.yaml and makes the directories it names; resolves to its path. */
export async function writeConfiguration(plan: ProviderPlan): Promise<string> {
  const { folder, ports } = plan;
  const spool = join(folder, 'spool');
  const journal = join(folder, 'journal');
  for (const directory of [spool, journal]) await mkdir(directory, { recursive: true, mode: 0o700 });
  const relay = `smtp://127.0.0.1:${ports.relay}`;
  const at = (port: number) => ({ address: '127.0.0.1', port });
  const file = join(folder, 'pecd.yaml');
  const settings = {
    provider: {
      name: plan.name,
      address: plan.address,
      serviceMailbox: plan.serviceMailbox,
      domains: [plan.domain],
    },
    signing: { certificate: plan.signing.certificate, key: plan.signing.key },
    // The demo's authority publishes no revocation lists.
    trust: { anchors: plan.anchors, revocation: 'off' },
    directory: { source: plan.directory },
    redis: { url: plan.redis },
    spool,
    access: { listen: [{ ...at(ports.submission), tls: 'starttls' }], auth: 'relay', relay },
    incoming: { listen: [{ ...at(ports.incoming), tls: 'starttls' }], relay },
    delivery: { listen: [at(ports.delivery)], mailStore: `lmtp://127.0.0.1:${ports.lmtp}` },
    receipts: { relay },
    journal: { directory: journal },
    virusStore: join(folder, 'virus'),
    tls: { certificate: plan.tls.certificate, key: plan.tls.key },
  };
  await writeFile(file, stringify(settings));
  return file;
}
