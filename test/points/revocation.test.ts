// A provider's certificate is revoked: what the incoming point takes its messages for. RFC 6109 §2.2.2, §3.2.2
import { describe, test } from 'node:test';
import { anomalies } from '../../src/pec/texts.ts';
import { instant } from '../../src/pec/values.ts';
import type { Trust } from '../../src/points/ports.ts';
import { readCrl } from '../../src/smime/crl.ts';
import { derOfList, revocationList } from '../smime/revocation-list.ts';
import { foreignMail, transportEnvelope } from './foreign-mail.ts';
import { assertOrdinary, assertTransportEnvelope, there } from './incoming-verdict.ts';

const at = instant(Date.now());
const MINUTE = 60_000;

/** Alfa's certificate was revoked at that moment; nobody asks for the list of the root. */
async function revokedAt(since: number): Promise<(usual: Trust) => Trust> {
  const revoked = [{ certificate: there.keys.alfa, since }];
  const list = readCrl(derOfList(await revocationList({ issuer: there.intermediate, revoked })));
  return usual => ({ ...usual, revocation: { mode: 'prefer', lists: [list] } });
}

describe('§2.2.2 an envelope of a provider whose certificate is on the revocation list', () => {
  test('is ordinary mail from the moment of the revocation on', async () => {
    const message = await foreignMail(transportEnvelope, there);
    const trust = await revokedAt(at - MINUTE);
    await assertOrdinary(message, anomalies.notAuthentic, { at, trust });
  });

  test('is good before', async () => {
    const message = await foreignMail(transportEnvelope, there);
    await assertTransportEnvelope(message, { at, trust: await revokedAt(at + MINUTE) });
  });

  test('is good by another key of the provider', async () => {
    const message = await foreignMail({ ...transportEnvelope, key: 'alfaP256' }, there);
    await assertTransportEnvelope(message, { at, trust: await revokedAt(at - MINUTE) });
  });

  test('without a list it is ordinary mail where one is required', async () => {
    const message = await foreignMail(transportEnvelope, there);
    const trust = (usual: Trust): Trust => ({ ...usual, revocation: { mode: 'require', lists: [] } });
    await assertOrdinary(message, anomalies.notAuthentic, { at, trust });
  });
});
