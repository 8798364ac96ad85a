// What a received PEC message proves, by tools that are not ours: openssl, Python's email package, xmllint
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from './folders.ts';

const run = promisify(execFile);
const DTD = fileURLToPath(import.meta.resolve('./postacert.dtd'));

export interface Evidence {
  /** Mail address in the certificate that signed. */
  readonly signer: string;
  /** File names of the signed parts. */
  readonly parts: readonly string[];
  /** The readable text. */
  readonly text: string;
  /** SHA-256 in hex of each file attached to the original, decoded. */
  readonly attachments: readonly string[];
  /** daticert.xml; null if there is none. */
  readonly certified: Certified | null;
}

/** Attributes and element contents of daticert.xml. */
export interface Certified {
  readonly tipo: string;
  readonly destinatari: readonly { readonly address: string; readonly tipo: string }[];
  readonly identificativo: string;
  readonly consegna: string | null;
  readonly ricezione: readonly string[];
}

// Reads the content that openssl vouched for, and writes daticert.xml as a file of its own.
const EXTRACT = `
import email, email.policy, hashlib, json, sys
import xml.etree.ElementTree as xml
content, target = sys.argv[1:]
with open(content, 'rb') as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)
text, attachments, certified = message.get_body(('plain',)), [], None
for part in message.iter_parts():
    if part.get_filename() == 'postacert.eml':
        attached = part.get_content().iter_attachments()
        attachments = [hashlib.sha256(one.get_payload(decode=True)).hexdigest() for one in attached]
    if part.get_filename() == 'daticert.xml':
        data = part.get_payload(decode=True)
        with open(target, 'wb') as file:
            file.write(data)
        root = xml.fromstring(data)
        certified = {
            'tipo': root.get('tipo'),
            'destinatari': [{'address': one.text, 'tipo': one.get('tipo')} for one in root.iter('destinatari')],
            'identificativo': root.findtext('dati/identificativo'),
            'consegna': root.findtext('dati/consegna'),
            'ricezione': [one.text for one in root.iter('ricezione')],
        }
print(json.dumps({
    'parts': [part.get_filename() for part in message.iter_parts() if part.get_filename()],
    'text': text.get_content() if text else '',
    'attachments': attachments,
    'certified': certified,
}))
`;

/**
 * Verifies the signature of the message in `file` against the root in `anchors`, and daticert.xml, if there is one,
 * against its grammar. Rejects with what the tool said.
 */
export async function evidenceOf(file: string, anchors: string): Promise<Evidence> {
  await using work = await temporaryFolder('pecd-evidence');
  const below = (name: string) => join(work.path, name);
  const results = ['-out', below('content'), '-signer', below('signer.pem')];
  await run('openssl', ['cms', '-verify', '-in', file, '-CAfile', anchors, ...results]);
  const { subjectAltName } = new X509Certificate(await readFile(below('signer.pem')));
  const { stdout } = await run('python3', ['-c', EXTRACT, below('content'), below('daticert.xml')]);
  const found: Omit<Evidence, 'signer'> = JSON.parse(stdout);
  if (found.certified) await run('xmllint', ['--noout', '--nonet', '--dtdvalid', DTD, below('daticert.xml')]);
  return { signer: subjectAltName?.replace(/^email:/, '') ?? '', ...found };
}
