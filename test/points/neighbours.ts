// Two providers that trust one root, as keys on disk for openssl to sign with; and others who only look like providers
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { certify, type Issued, makePki } from '../../src/demo/pki.ts';
import { directoryOf, type Provider } from '../../src/pec/directory.ts';
import { parseDomain } from '../../src/pec/values.ts';
import type { Trust } from '../../src/points/ports.ts';
import { pemSigner } from '../../src/smime/sign.ts';
import { mailbox, type Party } from './world.ts';

const DAY = 86_400_000;

/** Beta receives; Alfa has keys of three kinds; Gamma is certified by the same CA, and no provider. */
export interface Neighbours {
  readonly beta: Party;
  readonly trust: Trust;
  readonly keys: Readonly<Record<Key, Issued>>;
  /** What the signatures bring along, PEM; `der` for whoever has it as an anchor. */
  readonly intermediate: Issued & { readonly der: Buffer };
}
export type Key = 'alfa' | 'alfaP256' | 'alfaExpiring' | 'beta' | 'gamma' | 'selfSigned';

/** To be called at the top of a test file: the keys go when it ends. */
export async function neighbours(): Promise<Neighbours> {
  const folder = await mkdtemp(join(tmpdir(), 'pecd-foreign-'));
  after(() => rm(folder, { recursive: true }));
  const organizations = ['alfa', 'beta', 'gamma'];
  const pki = await makePki(folder, {
    domains: organizations.map(name => `pec.${name}.example`),
    organizations,
  });
  const addressOf = (organization: string) => `posta-certificata@pec.${organization}.example`;
  const issue = (organization: string, algorithm: 'rsa' | 'p256' = 'rsa') =>
    pki.issue({
      file: `${organization}-${algorithm}`,
      organization,
      address: addressOf(organization),
      algorithm,
    });
  const intermediate = {
    certificate: join(folder, 'intermediate.crt'),
    key: join(folder, 'intermediate.key'),
  };
  const leaf = {
    directory: folder,
    subject: { C: 'IT', O: 'alfa', CN: 'Posta Certificata' },
    key: 'rsa:2048',
    extensions: [
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=emailProtection',
      `subjectAltName=email:${addressOf('alfa')}`,
    ],
  } as const;
  const untilTomorrow = { from: Date.now() - DAY, to: Date.now() + DAY };
  const [alfa, alfaP256, beta, gamma, alfaExpiring, selfSigned] = await Promise.all([
    issue('alfa'),
    issue('alfa', 'p256'),
    issue('beta'),
    issue('gamma'),
    certify({ ...leaf, file: 'expiring', issuer: intermediate, validity: untilTomorrow }),
    certify({ ...leaf, file: 'self-signed' }),
  ]);

  const derOf = async (file: string) => new X509Certificate(await readFile(file)).raw;
  const provider = async (name: string, ...issued: readonly Issued[]): Promise<Provider> => ({
    name,
    mailReceipt: mailbox(`ricevute@pec.${name}.example`),
    domains: [parseDomain(`pec.${name}.example`) ?? assert.fail()],
    certificates: await Promise.all(
      issued.map(async ({ certificate }) => {
        const der = await derOf(certificate);
        const hash = createHash('sha1').update(der).digest('hex');
        return { hash, der, addresses: [mailbox(addressOf(name))] };
      }),
    ),
  });
  const betaProvider = await provider('beta', beta);
  const directory = directoryOf([await provider('alfa', alfa, alfaP256, alfaExpiring), betaProvider]);
  return {
    beta: {
      issuer: { name: 'beta', address: mailbox(addressOf('beta')) },
      domain: parseDomain('pec.beta.example') ?? assert.fail(),
      signer: pemSigner(await readFile(beta.certificate, 'utf8'), await readFile(beta.key, 'utf8')),
      provider: betaProvider,
    },
    trust: { directory, anchors: [await derOf(pki.anchors)], revocation: { mode: 'off', lists: [] } },
    keys: { alfa, alfaP256, alfaExpiring, beta, gamma, selfSigned },
    intermediate: { ...intermediate, der: await derOf(intermediate.certificate) },
  };
}
