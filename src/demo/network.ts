// The world of the demo: two PEC providers that know each other, and a mail server outside PEC
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryLdif } from './ldif.ts';
import { makePki } from './pki.ts';
import { freePort } from './ports.ts';
import type { Server } from './processes.ts';
import { type Provider, type ProviderPlan, providerPorts, startProvider } from './provider.ts';
import { startRedis } from './redis.ts';
import { sinkMaildirOf, startSink } from './sink.ts';

/** A provider that runs, and what it was planned to be. */
export type Member = Provider & { readonly plan: ProviderPlan };

export interface Network extends AsyncDisposable {
  readonly alfa: Member;
  readonly beta: Member;
  /** One for both, a database each. */
  readonly redis: Server;
  /** Path of the root certificate, PEM. */
  readonly anchors: string;
  /** Maildirs by address. */
  readonly mailboxes: ReadonlyMap<string, string>;
  /** Throws if one of the servers ended. */
  assertAlive(): void;
}

const CAST = [
  { file: 'alfa', name: 'Alfa PEC', domain: 'pec.alfa.example', users: ['anna', 'ricevute'] },
  { file: 'beta', name: 'Beta PEC', domain: 'pec.beta.example', users: ['bruno', 'carla', 'ricevute'] },
] as const;
const OUTSIDE = { domain: 'ordinary.example', mailbox: 'mario@ordinary.example' };

/** Needs root. `folder` must exist; all files are below it. If one server does not start, none runs. */
export async function startNetwork(folder: string): Promise<Network> {
  const redisPort = await freePort();
  const sinkPort = await freePort();
  const plans = await plansBelow(folder, { redis: redisPort, sink: sinkPort });
  const ordinary = join(folder, 'ordinary');

  await using starting = new AsyncDisposableStack();
  const redis = starting.use(await startRedis({ folder: join(folder, 'redis'), port: redisPort }));
  starting.use(await startSink({ folder: ordinary, port: sinkPort, domain: OUTSIDE.domain }));
  const started = await Promise.allSettled(
    plans.map(async plan => ({ plan, ...(await startProvider(plan)) })),
  );
  const up = started.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []));
  starting.adopt(up, async all => {
    await Promise.all(all.map(one => one[Symbol.asyncDispose]()));
  });
  const [alfa, beta] = started.map(one => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as [Member, Member];
  const servers = [redis, ...up.flatMap(({ daemon, postfix, dovecot }) => [daemon, postfix, dovecot])];
  const maildirs = up.flatMap(({ plan, maildir }) =>
    plan.accounts.map(({ address }) => [address, maildir(address)] as const),
  );
  const running = starting.move();
  return {
    alfa,
    beta,
    redis,
    anchors: alfa.plan.anchors,
    mailboxes: new Map([...maildirs, [OUTSIDE.mailbox, sinkMaildirOf(ordinary, OUTSIDE.mailbox)]]),
    assertAlive: () => {
      for (const server of servers) server.assertAlive();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Makes the certificates and the provider directory, and a plan for each provider of the cast. */
async function plansBelow(
  folder: string,
  { redis, sink }: { readonly redis: number; readonly sink: number },
): Promise<readonly ProviderPlan[]> {
  await mkdir(join(folder, 'pki'));
  const pki = await makePki(join(folder, 'pki'), {
    domains: CAST.map(({ domain }) => domain),
    organizations: CAST.map(({ name }) => name),
  });
  const directory = join(folder, 'directory.ldif');
  const drafts = await Promise.all(
    CAST.map(async ({ file, name, domain, users }, database) => {
      const address = `posta-certificata@${domain}`;
      return {
        ...{ name, domain, address, directory, anchors: pki.anchors },
        serviceMailbox: `ricevute@${domain}`,
        accounts: users.map(user => ({
          address: `${user}@${domain}`,
          password: randomBytes(6).toString('hex'),
        })),
        folder: join(folder, file),
        ports: await providerPorts(),
        tls: await pki.tls([`mx.${domain}`]),
        signing: await pki.issue({ file, organization: name, address }),
        redis: `redis://127.0.0.1:${redis}/${database}`,
      };
    }),
  );
  const entries = drafts.map(({ name, serviceMailbox, domain, signing }) => ({
    ...{ name, mailReceipt: serviceMailbox, domains: [domain], certificates: [signing.der] },
  }));
  await writeFile(directory, directoryLdif(entries));
  return drafts.map(draft => ({
    ...draft,
    routes: [
      ...drafts
        .filter(other => other !== draft)
        .map(({ domain, ports }) => ({ domain, port: ports.incoming, tls: 'required' }) as const),
      { domain: OUTSIDE.domain, port: sink, tls: 'none' },
    ],
  }));
}
