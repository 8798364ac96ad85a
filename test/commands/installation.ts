// A configuration whose files exist
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryLdif } from '../../src/demo/ldif.ts';
import { type Issued, makePki } from '../../src/demo/pki.ts';

export interface Installation extends AsyncDisposable {
  readonly directory: string;
  /** Paths of a certificate and a key for the listeners. */
  readonly tls: Issued;
  /** Writes a configuration with these sections after the required ones; resolves with its path. */
  configure(name: string, sections: string): Promise<string>;
}

/** Certificate, anchors and directory of one provider, and a directory for the rest. Disposing removes all. */
export async function install(): Promise<Installation> {
  const directory = await mkdtemp(join(tmpdir(), 'pecd-command-'));
  const address = 'posta-certificata@pec.alfa.example';
  const pki = await makePki(directory, { domains: ['pec.alfa.example'], organizations: ['Alfa PEC'] });
  const { certificate, key, der } = await pki.issue({ file: 'signing', organization: 'Alfa PEC', address });
  await pki.issue({ file: 'other', organization: 'Alfa PEC', address: 'somebody@pec.alfa.example' });
  const tls = await pki.tls(['pec.alfa.example']);
  const mailReceipt = 'ricevute@pec.alfa.example';
  const domains = ['pec.alfa.example'];
  const entry = { name: 'Alfa PEC', mailReceipt, domains, certificates: [der] };
  await writeFile(join(directory, 'directory.ldif'), directoryLdif([entry]));
  return {
    directory,
    tls,
    async configure(name, sections) {
      const file = join(directory, name);
      const required = {
        provider: { name: 'Alfa PEC', address, serviceMailbox: mailReceipt, domains },
        signing: { certificate, key },
        trust: { anchors: pki.anchors, revocation: 'off' },
        directory: { source: join(directory, 'directory.ldif') },
        spool: join(directory, 'spool'),
        journal: { directory: join(directory, 'journal') },
      };
      // JSON is YAML.
      const lines = Object.entries(required).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
      await writeFile(file, `${lines.join('\n')}\n${sections}\n`);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
