// The world of the demo: two PEC providers that know each other, and a mail server outside PEC
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryLdif } from './ldif.ts';
import { makePki } from './pki.ts';
import { freePort } from './ports.ts';
import { type Provider, type ProviderPlan, providerPorts, startProvider } from './provider.ts';
import { startRedis } from './redis.ts';
import { sinkMaildirOf, startSink } from './sink.ts';

/** A provider that runs, and what it was planned to be. */
export type Member = Provider & { readonly plan: ProviderPlan };

export interface Network extends AsyncDisposable {
  readonly alfa: Member;
  readonly beta: Member;
  /** Path of the root certificate, PEM. */
  readonly anchors: string;
  /** Maildirs by address. */
  readonly mailboxes: ReadonlyMap<string, string>;
  /** Throws if one of the servers ended. */
  assertAlive(): void;
}

const CAST = {
  alfa: { name: 'Alfa PEC', domain: 'pec.alfa.example', users: ['anna', 'ricevute'], database: 0 },
  beta: { name: 'Beta PEC', domain: 'pec.beta.example', users: ['bruno', 'carla', 'ricevute'], database: 1 },
} as const;
const OUTSIDE = { domain: 'ordinary.example', mailbox: 'mario@ordinary.example' };

/** Needs root. `folder` must exist; all files are below it. If one server does not start, none runs. */
export async function startNetwork(folder: string): Promise<Network> {
  const members = Object.entries(CAST) as [keyof typeof CAST, (typeof CAST)[keyof typeof CAST]][];
  await mkdir(join(folder, 'pki'));
  const pki = await makePki(join(folder, 'pki'), {
    domains: members.map(([, { domain }]) => domain),
    organizations: members.map(([, { name }]) => name),
  });
  const directory = join(folder, 'directory.ldif');
  const redisPort = await freePort();
  const sinkPort = await freePort();
  const drafts = await Promise.all(
    members.map(async ([file, { name, domain, users, database }]) => {
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
        redis: `redis://127.0.0.1:${redisPort}/${database}`,
      };
    }),
  );
  const entries = drafts.map(({ name, serviceMailbox, domain, signing }) => ({
    ...{ name, mailReceipt: serviceMailbox, domains: [domain], certificates: [signing.der] },
  }));
  await writeFile(directory, directoryLdif(entries));

  await using starting = new AsyncDisposableStack();
  const redis = starting.use(await startRedis({ folder: join(folder, 'redis'), port: redisPort }));
  const ordinary = join(folder, 'ordinary');
  starting.use(await startSink({ folder: ordinary, port: sinkPort, domain: OUTSIDE.domain }));
  const started = await Promise.allSettled(
    drafts.map(async draft => {
      const others = drafts.filter(other => other !== draft);
      const plan: ProviderPlan = {
        ...draft,
        routes: [
          ...others.map(({ domain, ports }) => ({ domain, port: ports.incoming, tls: 'required' }) as const),
          { domain: OUTSIDE.domain, port: sinkPort, tls: 'none' },
        ],
      };
      return { plan, ...(await startProvider(plan)) };
    }),
  );
  const up = started.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []));
  starting.adopt(up, async all => {
    await Promise.all(all.map(one => one[Symbol.asyncDispose]()));
  });
  const [alfa, beta] = started.map(one => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as [Member, Member];
  const servers = [
    redis,
    ...[alfa, beta].flatMap(({ daemon, postfix, dovecot }) => [daemon, postfix, dovecot]),
  ];
  const running = starting.move();
  return {
    alfa,
    beta,
    anchors: pki.anchors,
    mailboxes: new Map([
      ...[alfa, beta].flatMap(({ plan, maildir }) =>
        plan.accounts.map(({ address }) => [address, maildir(address)] as const),
      ),
      [OUTSIDE.mailbox, sinkMaildirOf(ordinary, OUTSIDE.mailbox)],
    ]),
    assertAlive: () => {
      for (const server of servers) server.assertAlive();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
