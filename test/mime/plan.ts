// A message plan for the tests of src/mime.
import type { MessagePlan } from '../../src/pec/compose.ts';
import { instant } from '../../src/pec/values.ts';

export const BOUNDARY = 'b0undary7rawn4t7andom';

export function plan(changes: Partial<MessagePlan> = {}): MessagePlan {
  return {
    header:
      'From: posta-certificata@pec.alfa.example\r\nTo: x@pec.beta.example\r\nSubject: CONSEGNA: prova\r\n',
    boundary: BOUNDARY,
    at: instant(0),
    text: { plain: 'Ricevuta\n', html: '<html><body><p>Ricevuta</p></body></html>\n' },
    certificationData: '<?xml version="1.0" encoding="UTF-8"?>\n<postacert/>\n',
    original: true,
    ...changes,
  };
}
