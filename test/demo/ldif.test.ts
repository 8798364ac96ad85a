// The directory file of the demo: RFC 6109 §4.5.10, and nothing lost to folding
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { directoryLdif } from '../../src/demo/ldif.ts';

test('§4.5.10: a base entry, and one entry for each provider', () => {
  const der = Buffer.from('not really DER');
  const provider = { mailReceipt: 'ricevute@pec.alfa.example', domains: ['pec.alfa.example', 'b.example'] };
  assert.equal(
    directoryLdif([{ name: 'Alfa PEC', ...provider, certificates: [der] }]),
    `version: 1

dn: o=postacert
objectClass: top
objectClass: organization
o: postacert
description: Base root for the PEC providers directory

dn: providerName=Alfa PEC,o=postacert
objectClass: top
objectClass: provider
providerName: Alfa PEC
providerCertificateHash: ${createHash('sha1').update(der).digest('hex')}
providerCertificate;binary:: bm90IHJlYWxseSBERVI=
mailReceipt: ricevute@pec.alfa.example
managedDomains: pec.alfa.example
managedDomains: b.example
`,
  );
});

test('lines are folded at 76 characters, and unfold to what they were', () => {
  const name = 'providerCertificate;binary:: ';
  for (const size of [33, 34, 35, 36, 89, 90, 91, 1000]) {
    const der = randomBytes(size);
    const ldif = directoryLdif([{ name: 'x', mailReceipt: 'x', domains: [], certificates: [der] }]);
    for (const line of ldif.split('\n')) assert.ok(line.length <= 76, line);
    const unfolded = ldif.replaceAll('\n ', '').split('\n');
    const value = unfolded.find(line => line.startsWith(name))?.slice(name.length);
    assert.equal(value, der.toString('base64'));
  }
});
