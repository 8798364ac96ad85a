// Every key of the configuration: type, default, meaning, and whether a reload is enough. The reference is generated from here
import * as z from 'zod';
import {
  clamd,
  domain,
  duration,
  host,
  mailbox,
  path,
  port,
  redisUrl,
  relay,
  reload,
  restart,
  section,
  size,
  text,
  webUrl,
} from './kinds.ts';
import { access, delivery, incoming } from './points.ts';

const keys = z.strictObject({
  provider: section('Who we are, as the provider directory knows us.', {
    name: text.meta(
      restart('Name of the provider (gestore-emittente in the certification data).', 'Alfa PEC S.p.A.'),
    ),
    address: mailbox.meta(
      restart(
        'Author of all that we sign; one of the addresses (SAN) in the signing certificate.',
        'posta-certificata@pec.alfa.example',
      ),
    ),
    serviceMailbox: mailbox.meta(
      restart(
        'Where other providers send take-charge receipts and virus notices (mailReceipt in the directory).',
        'ricevute@pec.alfa.example',
      ),
    ),
    domains: z
      .array(domain)
      .min(1)
      .meta(restart('PEC domains whose mailboxes are ours.', ['pec.alfa.example'])),
  }),
  signing: section('The key that signs every envelope and receipt.', {
    certificate: path.meta(
      reload('PEM: our certificate first, then the intermediate ones.', '/etc/pecd/signing.crt'),
    ),
    key: path.meta(reload('PEM: the private key of the certificate.', '/etc/pecd/signing.key')),
  }),
  trust: section('Whose signatures are believed.', {
    anchors: path.meta(reload('PEM: the root certificates.', '/etc/pecd/anchors.pem')),
    revocation: z
      .enum(['require', 'prefer', 'off'])
      .prefault('require')
      .meta(
        reload(
          '`require`: without a revocation list of their issuers, in force at that moment, no signature is believed. `prefer`: checked where there is one. `off`: never.',
        ),
      ),
    crls: z
      .array(path)
      .prefault([])
      .meta(
        reload(
          'Files of revocation lists, DER or PEM, for every authority above the signers. They are read at start and on reload: fetch them anew from outside (cron), before they expire, and send SIGHUP.',
        ),
      ),
  }),
  directory: section('The provider directory: which domains are PEC, which certificates sign for them.', {
    source: path.meta(reload('LDIF file of the directory.', '/etc/pecd/directory.ldif')),
  }),
  redis: section('The debt book: what is owed to whom, and which mailboxes take ordinary mail.', {
    url: redisUrl
      .prefault('redis://127.0.0.1:6379/0')
      .meta(
        restart(
          '`redis://`, `rediss://` (TLS) or `unix:///PATH`. With a password in it, keep it in a file: `cred:redis-url`.',
        ),
      ),
    allowVolatile: z
      .boolean()
      .prefault(false)
      .meta(
        restart('Start even on a Redis that does not write to disk or may evict keys. For experiments only.'),
      ),
  }).prefault({}),
  spool: path
    .prefault('/var/spool/pecd')
    .meta(restart('Directory of messages in transit. It belongs to one node.')),
  access: access.optional(),
  incoming: incoming.optional(),
  delivery: delivery.optional(),
  receipts: section('The worker that sends what is owed.', {
    relay: relay.prefault('smtp://127.0.0.1:10026').meta(restart('The MTA that takes the receipts.')),
    concurrency: z.int().min(1).max(1000).prefault(8).meta(restart('Receipts in work at the same time.')),
  }).prefault({}),
  antivirus: section(
    'The virus scanner. Without the section nothing is scanned; while it does not answer, no message is taken.',
    {
      clamd: clamd.meta(
        restart(
          'clamd: `tcp://HOST:PORT` or `unix:/PATH`. Its StreamMaxLength, MaxFileSize and MaxScanSize belong above the largest message; set AlertExceedsMax, else it calls clean what it left unscanned.',
          'tcp://127.0.0.1:3310',
        ),
      ),
    },
  ).optional(),
  journal: section('The legal log (RFC 6109 §2.3).', {
    directory: path
      .prefault('/var/log/pecd')
      .meta(restart('Directory of the log, one file a day. It belongs to one node.')),
    timestampUrl: webUrl
      .optional()
      .meta(restart('Time stamping authority (RFC 3161).', 'https://tsa.alfa.example/')),
    retention: duration
      .prefault('30 months')
      .meta(restart('How long log files are kept. This version deletes none.')),
  }).prefault({}),
  virusStore: path
    .prefault('/var/lib/pecd/virus')
    .meta(
      restart(
        'Directory of infected messages, one directory a month. They must be kept for 30 months; this version deletes none.',
      ),
    ),
  http: section(
    'Metrics and health: /metrics (Prometheus), /healthz, /readyz. Without the section there is no HTTP.',
    {
      listen: z
        .strictObject({
          address: host.prefault('127.0.0.1').meta(restart('Address to listen on.')),
          port: port.prefault(9587).meta(restart('Port to listen on; 0 takes any free one.')),
        })
        .prefault({})
        .describe('The listener. It asks for no password: keep it on loopback or behind a proxy.'),
    },
  ).optional(),
  tls: section('TLS of the mail listeners.', {
    certificate: path.meta(
      reload('PEM: certificate first, then the intermediate ones.', '/etc/pecd/tls.crt'),
    ),
    key: path.meta(reload('PEM: private key.', '/etc/pecd/tls.key')),
  }).optional(),
  timeouts: section('How long we wait before the sender is told.', {
    firstNotice: duration
      .prefault('12h')
      .meta(restart('First notice, when nothing was heard of a recipient (RFC 6109 §3.1.6).')),
    secondNotice: duration
      .prefault('24h')
      .meta(restart('Second notice, when no delivery and no failure was heard of a recipient.')),
    idle: duration
      .prefault('24h')
      .meta(
        restart(
          'Mail that the mail store keeps deferring becomes undeliverable this long after the date in its envelope.',
        ),
      ),
  }).prefault({}),
  limits: section('What one daemon takes at a time.', {
    connections: z.int().min(1).prefault(500).meta(restart('Connections of each listener.')),
    recipients: z
      .int()
      .min(1)
      .prefault(100)
      .meta(restart('Recipients of one transaction; RFC 6109 asks for at least 50.')),
    headerSize: size.prefault('256KB').meta(restart('Header of one message.')),
  }).prefault({}),
});

/** From the YAML as it is written to the values that the program works with: milliseconds, bytes, addresses. */
export const configSchema = keys.superRefine((config, context) => {
  const { trust, access: submission, incoming: reception, tls, timeouts } = config;
  if (trust.revocation === 'require' && trust.crls.length === 0) {
    const message = 'require needs revocation lists: name files, or write prefer or off';
    context.addIssue({ code: 'custom', path: ['trust', 'crls'], message });
  }
  for (const [at, { tls: manner }] of (submission?.listen ?? []).entries()) {
    const message =
      manner === 'none'
        ? 'users log in here, and passwords do not travel in the clear: write starttls or implicit'
        : `${manner} needs the section \`tls\` with certificate and key`;
    if (manner === 'none' || tls === undefined)
      context.addIssue({ code: 'custom', path: ['access', 'listen', at, 'tls'], message });
  }
  for (const [at, { tls: manner }] of (reception?.listen ?? []).entries()) {
    if (manner === 'none' || tls !== undefined) continue;
    const message = `${manner} needs the section \`tls\` with certificate and key, or write tls: none`;
    context.addIssue({ code: 'custom', path: ['incoming', 'listen', at, 'tls'], message });
  }
  if (timeouts.firstNotice >= timeouts.secondNotice) {
    const message = 'the second notice comes after the first: write a longer time';
    context.addIssue({ code: 'custom', path: ['timeouts', 'secondNotice'], message });
  }
});

/** The configuration, checked and complete. Durations in milliseconds, sizes in bytes. */
export type Config = z.output<typeof configSchema>;
