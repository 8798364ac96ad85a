// A message of ours from its plan: written, hashed and signed in one pass. RFC 6109 §2.1, §4.3
import { signedMultipart } from '../mime/signed-multipart.ts';
import { messageEntity } from '../mime/write-message.ts';
import type { MessagePlan } from '../pec/compose.ts';
import { type Signer, signDigest } from '../smime/sign.ts';

/** `original` is what plan.original announces. The signing time is the plan's instant (§4.1). */
export function signedMessage(
  plan: MessagePlan,
  signer: Signer,
  original?: AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  const entity = messageEntity(plan, original);
  return signedMultipart(plan.header, plan.boundary, entity, digest => signDigest(digest, plan.at, signer));
}
