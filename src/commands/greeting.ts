// Whether a mail server answers: connects, waits for 220, says EHLO or LHLO, leaves. RFC 5321 §3.1, RFC 2033 §4.1
import { connect } from 'node:net';
import SMTPConnection from 'smtp-connection';
import type { MailStoreAddress, RelayAddress } from '../config/notations.ts';

/** In milliseconds: for the whole conversation. */
const PATIENCE = 5_000;

/** Resolves with the reply to EHLO or LHLO, in one line; rejects if there is none within 5 s. `name` is ours. */
export async function greet(address: RelayAddress | MailStoreAddress, name: string): Promise<string> {
  const server = new SMTPConnection({
    ...('path' in address
      ? { connection: connect(address.path) }
      : { host: address.host, port: address.port }),
    name,
    lmtp: address.protocol === 'lmtp',
    secure: address.protocol === 'smtps',
    ignoreTLS: true,
    // Whom the certificate names is the relay's own question; here it is whether somebody answers.
    tls: { rejectUnauthorized: false },
    allowInternalNetworkInterfaces: true,
  });
  const late = AbortSignal.timeout(PATIENCE);
  try {
    return await new Promise((resolve, reject) => {
      late.addEventListener('abort', () => reject(new Error(`no greeting within ${PATIENCE / 1000} s`)));
      server.once('error', reject);
      server.once('end', () => reject(new Error('closed the connection')));
      server.connect(error =>
        error ? reject(error) : resolve(String(server.lastServerResponse).split(/\r?\n/)[0] ?? ''),
      );
    });
  } finally {
    server.on('error', () => {});
    server.quit();
    server.close();
  }
}
