// A private Postfix: the durable queue between the points, and the way to the other providers
import { execFile } from 'node:child_process';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accepts } from './ports.ts';
import { Server } from './processes.ts';

const run = promisify(execFile);

/** Where mail for a domain goes, on loopback. */
export interface Route {
  readonly domain: string;
  readonly port: number;
  /** `required`: no mail without STARTTLS; the certificate is not checked, as between providers in practice. */
  readonly tls: 'required' | 'none';
}

export interface PostfixPlan {
  /** Made if missing; its parents must let the users postfix and postdrop pass. */
  readonly folder: string;
  readonly hostname: string;
  /** The domains whose mail goes to `delivery`. */
  readonly domains: readonly string[];
  /** Port of the listener; it takes mail for anywhere, XFORWARD and XCLIENT, from loopback. */
  readonly port: number;
  /** LMTP port of what delivers: a delivery point, or a mail store. */
  readonly delivery: number;
  /** Port of Dovecot's auth service; absent: nobody can log in. */
  readonly auth?: number;
  readonly routes: readonly Route[];
}

/** Needs root. The queue survives stop and kill; start() takes it up again. */
export async function startPostfix(plan: PostfixPlan): Promise<Server> {
  const { folder, port } = plan;
  const configuration = join(folder, 'etc');
  await mkdir(configuration, { recursive: true });
  await mkdir(join(folder, 'queue'), { recursive: true });
  await mkdir(join(folder, 'data'), { recursive: true });
  await run('chown', ['postfix', join(folder, 'data')]);
  await writeSettled(join(configuration, 'main.cf'), mainConfiguration(plan));
  await writeSettled(join(configuration, 'master.cf'), masterConfiguration(port));
  // Makes the queue's directories.
  await run('postfix', ['-c', configuration, 'check']);
  const programs = (await run('postconf', ['-h', 'daemon_directory'])).stdout.trim();
  const server = new Server({
    name: `Postfix of ${plan.hostname}`,
    // What `postfix start` runs after its checks, here in the foreground.
    command: join(programs, 'master'),
    args: ['-s', '-c', configuration],
    log: logOf(folder),
    isReady: () => accepts(port),
  });
  await server.start();
  return server;
}

/** Postfix waits up to two seconds for a file that changed just now, lest it be half written. */
async function writeSettled(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  const anHourAgo = Date.now() / 1000 - 3600;
  await utimes(file, anHourAgo, anHourAgo);
}

function logOf(folder: string): string {
  return join(folder, 'postfix.log');
}

function mainConfiguration(plan: PostfixPlan): string {
  const { folder, hostname, domains, delivery, auth, routes } = plan;
  const table = (rows: readonly string[]) => `inline:{ ${rows.map(row => `{ ${row} }`).join(', ')} }`;
  const encrypted = routes.filter(({ tls }) => tls === 'required');
  const parameters: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: join(folder, 'queue'),
    data_directory: join(folder, 'data'),
    maillog_file: logOf(folder),
    maillog_file_prefixes: folder,
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: hostname,
    mydestination: '',
    local_recipient_maps: '',
    alias_maps: '',
    alias_database: '',
    default_database_type: 'texthash',
    // Longer headers inside postacert.eml would be cut, and the signature broken.
    disable_mime_input_processing: 'yes',
    mynetworks: '127.0.0.0/8',
    smtpd_relay_restrictions: 'permit_mynetworks, reject',
    // Which mailboxes exist is for the mail store to say, behind the delivery point: hence no virtual_mailbox_maps.
    virtual_mailbox_domains: domains.join(' '),
    virtual_transport: `lmtp:inet:127.0.0.1:${delivery}`,
    // There are no other domains here, and nothing goes out into the world.
    default_transport: 'error:5.1.2 No such domain in this demo',
    smtp_dns_support_level: 'disabled',
    smtp_host_lookup: 'native',
    // Nothing may alter signed bytes: no 8-bit conversion, no folding of long lines.
    disable_mime_output_conversion: 'yes',
    smtp_line_length_limit: '0',
    lmtp_line_length_limit: '0',
    message_size_limit: '120000000',
    mailbox_size_limit: '0',
    // The 24 hours of RFC 6109 §3.1.6 are the daemon's to count: a bounce of Postfix must never come before.
    maximal_queue_lifetime: '3d',
    bounce_queue_lifetime: '3d',
    // Nobody wants to wait while a server restarts.
    queue_run_delay: '3s',
    minimal_backoff_time: '3s',
    maximal_backoff_time: '5s',
    in_flow_delay: '0',
    notify_classes: '',
    ...(routes.length > 0 && {
      transport_maps: table(routes.map(({ domain, port }) => `${domain} = smtp:[127.0.0.1]:${port}`)),
    }),
    ...(encrypted.length > 0 && {
      smtp_tls_policy_maps: table(encrypted.map(({ port }) => `[127.0.0.1]:${port} = encrypt`)),
    }),
    ...(auth !== undefined && {
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: `inet:127.0.0.1:${auth}`,
    }),
  };
  return Object.entries(parameters)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

/** The listener comes last: when it answers, all the others are there. */
function masterConfiguration(port: number): string {
  return `# service type private unpriv chroot wakeup maxproc command
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
127.0.0.1:${port} inet n - n - - smtpd
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o smtpd_authorized_xclient_hosts=127.0.0.0/8
`;
}
