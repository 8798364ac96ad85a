// Where a login is tried: at the MTA behind us, with the client's own credentials, by AUTH. RFC 4954
import SMTPConnection, { type SMTPError } from 'smtp-connection';
import type { Authenticator } from '../points/ports.ts';

export interface RelayAddress {
  /** `smtps` is TLS from the first byte. */
  readonly protocol: 'smtp' | 'smtps';
  readonly host: string;
  readonly port: number;
}

export interface RelayAuthenticatorOptions {
  /** Our name in EHLO. */
  readonly name: string;
  /** Milliseconds for each of connecting and waiting for a reply: 10 s unless given. */
  readonly timeout?: number;
}

/**
 * Logs in at the MTA and leaves again. 235 is true, 535 is false; whatever else happens, nobody can tell, and it rejects.
 * To another machine passwords go only under TLS with a good certificate; on this one TLS is used if offered.
 */
export function relayAuthenticator(address: RelayAddress, options: RelayAuthenticatorOptions): Authenticator {
  const { protocol, host, port } = address;
  const remote = !/^(127(\.\d+){3}|::1|localhost)$/.test(host);
  const timeout = options.timeout ?? 10_000;
  return {
    async check(login, password) {
      // NUL separates the fields of AUTH PLAIN, and none of them may be empty (RFC 4616)
      if (login === '' || password === '' || /\0/.test(login + password)) return false;
      const smtp = new SMTPConnection({
        host,
        port,
        name: options.name,
        secure: protocol === 'smtps',
        requireTLS: remote,
        tls: { rejectUnauthorized: remote, minVersion: 'TLSv1.2' },
        allowInternalNetworkInterfaces: true,
        connectionTimeout: timeout,
        greetingTimeout: timeout,
        dnsTimeout: timeout,
        socketTimeout: timeout,
        socketCloseTimeout: 0,
      });
      try {
        const good = await tried(smtp, login, password);
        smtp.quit();
        return good;
      } catch (error) {
        smtp.close();
        const { message, code } = error as SMTPError;
        const place = `No login at ${host}:${port}`;
        throw Object.assign(new Error(`${place}: ${message}`, { cause: error }), { code: code ?? 'ELOGIN' });
      }
    },
  };
}

function tried(smtp: SMTPConnection, user: string, pass: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    smtp.on('error', reject);
    smtp.once('end', () => setImmediate(() => reject(new Error('connection closed'))));
    smtp.connect(failure => {
      if (failure) return reject(failure);
      if (!smtp.allowsAuth) return reject(new Error('the mail server offers no AUTH'));
      smtp.login({ user, pass }, error => {
        if (!error) resolve(true);
        else if (error.responseCode === 535) resolve(false);
        else reject(error);
      });
    });
  });
}
