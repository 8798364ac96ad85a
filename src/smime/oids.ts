// The object identifiers of signatures and certificates, and the algorithms that we take. RFC 5652, 5280, 3370, 5754, 5758

export const oids = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  emailAddress: '1.2.840.113549.1.9.1',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  anyExtendedKeyUsage: '2.5.29.37.0',
  emailProtection: '1.3.6.1.5.5.7.3.4',
} as const;

export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const digestOids: Readonly<Record<DigestName, string>> = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};

export interface SignatureAlgorithm {
  readonly name: string;
  readonly keyType: 'rsa' | 'ec';
  /** Absent: another field says which. */
  readonly digest?: DigestName;
}

/** RSA is PKCS#1 v1.5; RSASSA-PSS does not occur in PEC. */
export const signatureAlgorithms: ReadonlyMap<string, SignatureAlgorithm> = new Map<
  string,
  SignatureAlgorithm
>([
  [oids.rsaEncryption, { name: 'rsaEncryption', keyType: 'rsa' }],
  ['1.2.840.113549.1.1.5', { name: 'sha1WithRSAEncryption', keyType: 'rsa', digest: 'sha1' }],
  ['1.2.840.113549.1.1.11', { name: 'sha256WithRSAEncryption', keyType: 'rsa', digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { name: 'sha384WithRSAEncryption', keyType: 'rsa', digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { name: 'sha512WithRSAEncryption', keyType: 'rsa', digest: 'sha512' }],
  ['1.2.840.10045.4.1', { name: 'ecdsa-with-SHA1', keyType: 'ec', digest: 'sha1' }],
  [oids.ecdsaWithSha256, { name: 'ecdsa-with-SHA256', keyType: 'ec', digest: 'sha256' }],
  ['1.2.840.10045.4.3.3', { name: 'ecdsa-with-SHA384', keyType: 'ec', digest: 'sha384' }],
  ['1.2.840.10045.4.3.4', { name: 'ecdsa-with-SHA512', keyType: 'ec', digest: 'sha512' }],
]);
