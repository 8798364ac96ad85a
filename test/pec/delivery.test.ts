import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryError, formFor } from '../../src/pec/delivery.ts';
import { parseHeader } from '../../src/pec/header.ts';
import type { ReceiptForm } from '../../src/pec/receipts.ts';
import { parseMailbox } from '../../src/pec/values.ts';

const bruno = parseMailbox('bruno@pec.beta.example') ?? assert.fail();

const rows: [string, string, ReceiptForm, ReceiptForm][] = [
  ['in To', 'To: Bruno <BRUNO@pec.beta.example>\r\n', 'completa', 'completa'],
  ['in To, brief', 'To: bruno@pec.beta.example\r\n', 'breve', 'breve'],
  ['in To, concise', 'To: bruno@pec.beta.example\r\n', 'sintetica', 'sintetica'],
  ['in Cc', 'To: x@y.example\r\nCc: bruno@pec.beta.example\r\n', 'completa', 'sintetica'],
  ['in Cc, brief', 'To: x@y.example\r\nCc: bruno@pec.beta.example\r\n', 'breve', 'sintetica'],
  ['in both', 'To: bruno@pec.beta.example\r\nCc: bruno@pec.beta.example\r\n', 'completa', 'completa'],
  ['in neither', 'To: x@y.example\r\n', 'completa', 'completa'],
  ['in Cc, To unreadable', 'To: Bruno\r\nCc: bruno@pec.beta.example\r\n', 'completa', 'completa'],
];
for (const [name, header, asked, form] of rows)
  test(`§3.3.2 the form of a delivery receipt: ${name}`, () => {
    assert.equal(formFor(bruno, parseHeader(header), asked), form);
  });

const errors: [string | undefined, string, string][] = [
  ['5.1.1', 'no-dest', '5.1.1 - Beta - indirizzo non valido'],
  ['5.1.2', 'no-dominio', '5.1.2 - Beta - dominio non valido'],
  ['5.2.1', 'altro', '5.2.1 - Beta - casella non attiva'],
  ['5.2.2', 'altro', '5.2.2 - Beta - casella piena'],
  ['5.7.1', 'altro', '5.7.1 - Beta - errore di consegna'],
  [undefined, 'altro', '5.0.0 - Beta - errore di consegna'],
  ['4.2.2', 'altro', '5.0.0 - Beta - errore di consegna'],
];
for (const [enhanced, errore, extended] of errors)
  test(`§3.3.3 errore-esteso for ${enhanced}`, () => {
    assert.deepEqual(deliveryError(enhanced, 'Beta'), { errore, extended });
  });
