// The sections of the three points: where each listens, and whom it hands messages to
import * as z from 'zod';
import { host, mailStore, network, path, port, relay, reload, restart, section, size } from './kinds.ts';
import { parseSize } from './notations.ts';

/** RFC 6109 §3.1.1: a provider accepts that much, in bytes. */
const LEAST_SIZE = parseSize('30MB') ?? Number.NaN;

const listenAddress = host.meta(restart('Address to listen on.', '127.0.0.1'));
const listenPort = port.meta(restart('Port to listen on; 0 takes any free one.', 10024));
const plainListener = z.strictObject({ address: listenAddress, port: listenPort });
const mailListener = z.strictObject({
  address: listenAddress,
  port: listenPort,
  tls: z
    .enum(['none', 'starttls', 'implicit'])
    .prefault('none')
    .meta(
      restart(
        '`starttls` offers it, `implicit` speaks TLS from the first byte; both need the section `tls`.',
      ),
    ),
});

export const access = section(
  'The access point: submission by our own users. Without the section the point does not run.',
  {
    listen: z
      .array(mailListener)
      .min(1)
      .prefault([
        { address: '0.0.0.0', port: 587, tls: 'starttls' },
        { address: '0.0.0.0', port: 465, tls: 'implicit' },
      ])
      .meta(restart('Listeners. `tls` is `none`, `starttls` or `implicit`.')),
    auth: z
      .enum(['relay'])
      .prefault('relay')
      .meta(restart('Where users log in. `relay`: their login and password are tried at the MTA behind us.')),
    senders: path
      .optional()
      .meta(
        reload(
          'File of logins and the addresses each may send from. Without it the login is the address.',
          '/etc/pecd/senders',
        ),
      ),
    trustedNetworks: z
      .array(network)
      .prefault(['127.0.0.0/8'])
      .meta(restart('Peers that may use XCLIENT and XFORWARD.')),
    relay: relay
      .prefault('smtp://127.0.0.1:10026')
      .meta(restart('The MTA behind us: it takes every message we accept.')),
    maxSize: size
      .prefault('100MB')
      .meta(restart('Of one message: announced as SIZE; beyond it 552 5.3.4 and no notice.')),
    maxSizeTimesRecipients: size
      .refine(bytes => bytes >= LEAST_SIZE, 'must be at least 30MB (RFC 6109 asks to accept that much)')
      .prefault('100MB')
      .meta(
        restart('Size of the message times its recipients: beyond it a formal exception. At least 30MB.'),
      ),
    onFormalException: z
      .enum(['refuse', 'receipt-only'])
      .prefault('refuse')
      .meta(restart('`refuse`: 5xx and the non-acceptance notice. `receipt-only`: 250 and the notice.')),
  },
);

export const incoming = section(
  'The incoming point: mail from other providers and from the Internet. Without the section the point does not run.',
  {
    listen: z
      .array(mailListener)
      .min(1)
      .prefault([{ address: '0.0.0.0', port: 25, tls: 'starttls' }])
      .meta(restart('Listeners. `tls` is `none`, `starttls` or `implicit`.')),
    relay: relay
      .prefault('smtp://127.0.0.1:10026')
      .meta(restart('The MTA behind us: it takes every message we accept.')),
    ordinaryMail: z
      .enum(['reject', 'accept'])
      .prefault('reject')
      .meta(
        reload(
          'For mailboxes that were neither opened nor closed: `reject`, or `accept` as an anomaly envelope.',
        ),
      ),
  },
);

export const delivery = section(
  'The delivery point: LMTP between the MTA and the mailboxes. Without the section the point does not run.',
  {
    listen: z
      .array(plainListener)
      .min(1)
      .prefault([{ address: '127.0.0.1', port: 10024 }])
      .meta(restart('Listeners. LMTP knows no login: listen only where the MTA is.')),
    mailStore: mailStore
      .prefault('lmtp://127.0.0.1:24')
      .meta(restart('The LMTP server of the mailboxes: `lmtp://HOST:PORT` or `lmtp:unix:/PATH`.')),
  },
);
