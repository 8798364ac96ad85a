// What happens in the demo, and what must come of it: RFC 6109 §2.2, between two providers and the world outside
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import { reasons, replyText } from '../pec/reasons.ts';
import type { Evidence } from './evidence.ts';
import { type Expected, receive, type Stage } from './expectation.ts';
import { newMail } from './mailboxes.ts';
import type { Member, Network } from './network.ts';

const ANNA = 'anna@pec.alfa.example';
const BRUNO = 'bruno@pec.beta.example';
const CARLA = 'carla@pec.beta.example';
const MARIO = 'mario@ordinary.example';
const STRANGER = 'someone@ordinary.example';

/** Rejects when a message does not come, is not what it should be, or comes unasked. */
export async function play(stage: Stage): Promise<void> {
  const arrived = newMail(stage.network.mailboxes);
  await receive(stage, arrived, await certifiedMail(stage));
  await refusedMail(stage);
  await receive(stage, arrived, await ordinaryMail(stage));
}

/** Anna writes to a certified recipient, to another in copy, and to an ordinary one. */
async function certifiedMail({ network, tell }: Stage): Promise<readonly Expected[]> {
  const { alfa, beta } = network;
  const content = randomBytes(1_000_000);
  const digest = createHash('sha256').update(content).digest('hex');
  const subject = 'Contratto n. 42, così come d’accordo';
  tell({
    type: 'scene',
    text: `${ANNA} logs in at Alfa's access point and sends 1 MB`,
    details: [`"${subject}"`, `to ${BRUNO} and ${MARIO}, copy to ${CARLA}`],
  });
  const password = alfa.plan.accounts.find(({ address }) => address === ANNA)?.password;
  const server = await connectionTo(network, alfa, alfa.plan.ports.submission);
  await createTransport({ ...server, auth: { user: ANNA, pass: password } }).sendMail({
    from: { name: 'Anna Alfieri', address: ANNA },
    to: [BRUNO, MARIO],
    cc: CARLA,
    subject,
    text: 'In allegato il contratto, da restituire firmato.\n\nAnna\n',
    attachments: [{ filename: 'contratto.bin', content }],
  });

  // Everything is about one message: the first identificativo is everybody's.
  let identificativo: string | undefined;
  const sameMessage = ({ certified }: Evidence) => {
    identificativo ??= certified?.identificativo;
    assert.equal(certified?.identificativo, identificativo, 'identificativo');
    return certified;
  };
  const envelope = {
    kind: 'posta-certificata',
    signer: alfa.plan.address,
    proves: (evidence: Evidence) => {
      sameMessage(evidence);
      assert.deepEqual(evidence.attachments, [digest], 'SHA-256 of the attachment');
      return "Anna's message is inside, its attachment byte for byte";
    },
  };
  return [
    { ...envelope, mailbox: BRUNO },
    { ...envelope, mailbox: CARLA },
    { ...envelope, mailbox: MARIO },
    {
      mailbox: ANNA,
      kind: 'accettazione',
      signer: alfa.plan.address,
      proves: evidence => {
        const kinds = Object.fromEntries(
          sameMessage(evidence)?.destinatari.map(({ address, tipo }) => [address, tipo]) ?? [],
        );
        assert.deepEqual(kinds, { [BRUNO]: 'certificato', [CARLA]: 'certificato', [MARIO]: 'esterno' });
        const lines = [
          ...[BRUNO, CARLA].map(certified => `${certified} ("posta certificata")`),
          `${MARIO} ("posta ordinaria")`,
        ];
        for (const line of lines) assert.ok(evidence.text.includes(line), `no ${line} in its text`);
        return `certified are ${BRUNO} and ${CARLA}, ordinary is ${MARIO}`;
      },
    },
    {
      mailbox: ANNA,
      kind: 'avvenuta-consegna',
      about: BRUNO,
      signer: beta.plan.address,
      proves: evidence => {
        sameMessage(evidence);
        assert.deepEqual(evidence.attachments, [digest], 'SHA-256 of the attachment');
        return `complete, for ${BRUNO}: her message comes back with it`;
      },
    },
    {
      mailbox: ANNA,
      kind: 'avvenuta-consegna',
      about: CARLA,
      signer: beta.plan.address,
      proves: evidence => {
        sameMessage(evidence);
        assert.ok(!evidence.parts.includes('postacert.eml'), 'a receipt for a recipient in copy is concise');
        return `concise, for ${CARLA}, who is in copy`;
      },
    },
    {
      mailbox: alfa.plan.serviceMailbox,
      kind: 'presa-in-carico',
      signer: beta.plan.address,
      proves: evidence => {
        assert.deepEqual(sameMessage(evidence)?.ricezione.toSorted(), [BRUNO, CARLA], 'ricezione');
        return `Beta answers for ${BRUNO} and ${CARLA} from here on`;
      },
    },
  ];
}

const letter = {
  from: STRANGER,
  to: BRUNO,
  subject: 'Saluti da fuori',
  text: 'Una mail come tante.\n',
};

/** An ordinary sender finds Bruno's mailbox closed. */
async function refusedMail({ network, tell }: Stage): Promise<void> {
  tell({ type: 'scene', text: `${STRANGER}, outside PEC, writes to ${BRUNO}` });
  const { beta } = network;
  const server = createTransport(await connectionTo(network, beta, beta.plan.ports.incoming));
  const refusal = await server.sendMail(letter).then(
    () => 'nothing, it took the message',
    (trouble: Error & { response?: string }) => trouble.response ?? trouble.message,
  );
  const { ordinaryMail } = reasons;
  assert.equal(refusal, `${ordinaryMail.code} ${replyText(ordinaryMail, BRUNO)}`);
  tell({ type: 'scene', text: "Beta's incoming point refuses", details: [refusal] });
}

/** Bruno opens his mailbox, and the ordinary sender tries again. */
async function ordinaryMail({ network, tell }: Stage): Promise<readonly Expected[]> {
  const { beta } = network;
  await beta.pecd('mailbox', 'open', BRUNO);
  tell({ type: 'scene', text: `After "pecd mailbox open ${BRUNO}" the same mail is sent again` });
  const server = await connectionTo(network, beta, beta.plan.ports.incoming);
  await createTransport(server).sendMail(letter);
  return [
    {
      mailbox: BRUNO,
      kind: 'errore',
      signer: beta.plan.address,
      proves: ({ certified, parts, text }) => {
        assert.equal(certified, null, 'an anomaly envelope certifies nothing');
        assert.ok(parts.includes('postacert.eml'), 'no original in it');
        assert.match(text, /Tali dati non sono stati certificati/);
        return 'the mail is inside, and nothing is certified';
      },
    },
  ];
}

/** A point's listener as nodemailer wants it: with STARTTLS, its certificate checked. */
async function connectionTo({ anchors }: Network, { plan }: Member, port: number) {
  const tls = { ca: await readFile(anchors), servername: `mx.${plan.domain}` };
  return { host: '127.0.0.1', port, requireTLS: true, tls };
}
