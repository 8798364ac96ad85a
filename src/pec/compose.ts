// Every message we write, as a plan: header, text, certification data, attachment. RFC 6109 §3.1.5, §3.2.2, §4.3
import type { Instant } from './values.ts';

/** A message to be written and signed. Strings of `header` hold one byte per character. */
export interface MessagePlan {
  /** The header fields above the MIME ones, each ended by CRLF. */
  readonly header: string;
  /** Up to 60 characters of `[A-Za-z0-9]`; every boundary of the message is made of it. */
  readonly boundary: string;
  /** The instant of the event (§4.1). */
  readonly at: Instant;
  /** The readable text (§4.3.1); lines end in LF. Characters outside ISO-8859-1 are the writer's care. */
  readonly text: { readonly plain: string; readonly html: string };
  /** daticert.xml; absent in anomaly envelopes (§3.2.2). */
  readonly certificationData?: string;
  /** Whether postacert.eml follows; its bytes are handed to the writer. */
  readonly original: boolean;
}
