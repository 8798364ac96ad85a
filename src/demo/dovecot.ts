// A private Dovecot: the mailboxes (LMTP, IMAP) and the passwords that Postfix asks for
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accepts } from './ports.ts';
import { Server } from './processes.ts';

const run = promisify(execFile);

/** The account and group that own the mailboxes: every Debian has them. */
const MAIL_USER = 'mail';

export interface Account {
  readonly address: string;
  readonly password: string;
}

export interface DovecotPlan {
  /** Made if missing; its parents must let the users dovecot, dovenull and mail pass. */
  readonly folder: string;
  /** The mailboxes; for any other address LMTP answers 550 5.1.1. */
  readonly accounts: readonly Account[];
  readonly ports: DovecotPorts;
}

export interface DovecotPorts {
  readonly lmtp: number;
  readonly imap: number;
  /** Speaks Dovecot's auth client protocol. */
  readonly auth: number;
}

/** Needs root. Mail survives stop and kill. */
export async function startDovecot({ folder, accounts, ports }: DovecotPlan): Promise<Server> {
  const mail = join(folder, 'mail');
  await mkdir(mail, { recursive: true });
  await run('chown', [`${MAIL_USER}:${MAIL_USER}`, mail]);
  const configuration = join(folder, 'dovecot.conf');
  const { stdout: version } = await run('dovecot', ['--version']);
  await writeFile(configuration, configurationOf(folder, version, ports));
  const users = accounts.map(({ address, password }) => `${address}:{PLAIN}${password}::::::\n`);
  await writeFile(join(folder, 'users'), users.join(''));
  const server = new Server({
    name: `Dovecot in ${folder}`,
    command: 'dovecot',
    args: ['-F', '-c', configuration],
    log: join(folder, 'dovecot.log'),
    isReady: async () => (await accepts(ports.lmtp)) && (await accepts(ports.auth)),
  });
  await server.start();
  return server;
}

/** The maildir of an address: its messages are the files in `new` and `cur`. */
export function maildirOf(folder: string, address: string): string {
  return join(folder, 'mail', address, 'Maildir');
}

function configurationOf(folder: string, version: string, { lmtp, imap, auth }: DovecotPorts): string {
  return `${version.startsWith('2.3.') ? dialect23(folder) : dialect24(folder)}
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = /dev/stderr
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_uid = ${MAIL_USER}
mail_gid = ${MAIL_USER}
first_valid_uid = 1
service imap-login {
  inet_listener imap {
    port = ${imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    port = ${lmtp}
  }
}
service auth {
  inet_listener sasl {
    port = ${auth}
  }
}
`;
}

/** What Dovecot 2.3 (Debian 12) says in words of its own. */
function dialect23(folder: string): string {
  return `disable_plaintext_auth = no
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
  default_fields = home=${folder}/mail/%u
}`;
}

/** The same for 2.4 (Debian 13), which wants its version first. */
function dialect24(folder: string): string {
  return `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {
  passwd_file_path = ${folder}/users
}
userdb passwd-file {
  passwd_file_path = ${folder}/users
  fields {
    home:default = ${folder}/mail/%{user}
  }
}`;
}
