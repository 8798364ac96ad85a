// What a keeper said, as answers for each recipient. RFC 5321 §4.2, RFC 2034
import type { SMTPError } from 'smtp-connection';
import { type Mailbox, mailboxKey, type SmtpEnvelope } from '../../pec/values.ts';
import type { KeeperAnswer } from '../../points/custody.ts';

/** A reply, whomever it is about. */
type Said = Omit<KeeperAnswer, 'recipient'>;

/** One answer for each recipient: its own refusal if it has one, else what was said to the rest. */
export function answersOf(
  envelope: SmtpEnvelope,
  refusals: readonly SMTPError[],
  rest: Said,
): KeeperAnswer[] {
  const own = new Map(
    refusals.map(({ recipient, response }) => [mailboxKey(recipient as Mailbox), response] as const),
  );
  return envelope.to.map(recipient => {
    const response = own.get(mailboxKey(recipient));
    return { recipient, ...(response === undefined ? rest : parseReply(response)) };
  });
}

/** `550-5.1.1 No such` and `550 5.1.1 user`, lines of one reply, say: code 550, enhanced 5.1.1, "No such user". */
export function parseReply(response: string): Said {
  const lines = response
    .split(/\r?\n/)
    .map(line => /^(\d{3})(?:[ -](?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?$/.exec(line) ?? []);
  const codes = new Set(lines.map(([, code]) => code));
  const enhanced = lines.find(([, , status]) => status !== undefined)?.[2];
  return {
    // lines that do not agree decide nothing
    code: codes.size === 1 ? Number(lines[0]?.[1] ?? 0) : 0,
    ...(enhanced !== undefined && { enhanced }),
    text: lines
      .map(([, , , text = '']) => text.trim())
      .join(' ')
      .trim(),
  };
}
