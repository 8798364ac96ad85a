// The scanner against a real clamd: by TCP and by socket, clean and infected, and all that keeps it from a verdict
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ClamdAddress, clamdScanner } from '../../src/adapters/clamd.ts';
import { type TemporaryFolder, temporaryFolder } from '../../src/demo/folders.ts';
import { freePort } from '../../src/demo/ports.ts';
import type { Server as Program } from '../../src/demo/processes.ts';
import type { Scanner } from '../../src/points/ports.ts';
import { EICAR, EICAR_NAME, startClamd } from '../clamd.ts';

/** In bytes: clamd's StreamMaxLength, and its MaxFileSize. */
const LIMIT = 2 * 1024 * 1024;
const FILE_LIMIT = 1024 * 1024;

let folder: TemporaryFolder;
let clamd: Program;
let places: Readonly<Record<'TCP' | 'unix socket', ClamdAddress>>;
before(async () => {
  folder = await temporaryFolder('pecd-clamd');
  const port = await freePort();
  const settings = {
    StreamMaxLength: String(LIMIT),
    MaxFileSize: String(FILE_LIMIT),
    AlertExceedsMax: 'yes',
  };
  clamd = await startClamd({ folder: folder.path, port, settings });
  places = { TCP: { host: '127.0.0.1', port }, 'unix socket': { path: join(folder.path, 'clamd.sock') } };
});
after(async () => {
  await clamd[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function verdict(scanner: Scanner, ...chunks: readonly Buffer[]): Promise<string | undefined> {
  await using scan = await scanner.scan();
  for (const chunk of chunks) await scan.push(chunk);
  return await scan.verdict();
}

const NO_VERDICT = /^Error: clamd: ./;

const bytes = (message: Buffer) => Array.from(message, (_, at) => message.subarray(at, at + 1));

const plain = Buffer.from(`From: a@pec.alfa.example\r\n\r\n${EICAR}\r\n`);
const attached = Buffer.from(`From: a@pec.alfa.example
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Hello
--b
Content-Type: application/octet-stream; name=a.com
Content-Transfer-Encoding: base64

${Buffer.from(EICAR).toString('base64')}
--b--
`);

for (const place of ['TCP', 'unix socket'] as const) {
  describe(`by ${place}`, () => {
    const scanner = () => clamdScanner(places[place]);

    it('a clean message has no virus, and nor has an empty one', async () => {
      assert.equal(
        await verdict(scanner(), Buffer.from('From: a@pec.alfa.example\r\n\r\nHello\r\n')),
        undefined,
      );
      assert.equal(await verdict(scanner()), undefined);
    });

    it('a virus has its name, in whatever chunks it comes', async () => {
      assert.equal(await verdict(scanner(), plain), EICAR_NAME);
      assert.equal(await verdict(scanner(), ...bytes(plain)), EICAR_NAME);
      assert.equal(
        await verdict(scanner(), plain.subarray(0, 50), Buffer.alloc(0), plain.subarray(50)),
        EICAR_NAME,
      );
    });

    it('a virus in a base64 attachment is found', async () => {
      assert.equal(await verdict(scanner(), attached), EICAR_NAME);
    });

    it('a message beyond StreamMaxLength has no verdict, in one chunk or in many', async () => {
      const large = randomBytes(LIMIT + 1);
      const slices = Array.from({ length: 65 }, (_, n) => large.subarray(n * 32_768, (n + 1) * 32_768));
      await assert.rejects(verdict(scanner(), ...slices), NO_VERDICT);
      await assert.rejects(verdict(scanner(), ...slices, randomBytes(50 * LIMIT)), NO_VERDICT);
    });

    it('a message that clamd takes but does not scan has none either; one that it just scans has', async () => {
      const large = Buffer.alloc(FILE_LIMIT + 1, 'x');
      await assert.rejects(verdict(scanner(), large), {
        message: 'clamd: stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND',
      });
      assert.equal(await verdict(scanner(), large.subarray(1)), undefined);
    });

    it('a clamd that is killed in mid-stream gives no verdict; its successor does', async () => {
      await using whole = await scanner().scan();
      await using half = await scanner().scan();
      await whole.push(plain);
      await half.push(plain.subarray(0, 50));
      await clamd.kill();
      await assert.rejects(whole.verdict(), NO_VERDICT);
      await assert.rejects(
        half.push(plain.subarray(50)).then(() => half.verdict()),
        NO_VERDICT,
      );
      await assert.rejects(scanner().scan(), NO_VERDICT);
      await clamd.start();
      assert.equal(await verdict(scanner(), plain), EICAR_NAME);
    });

    it('a clamd that is frozen gives no verdict, and takes no more than fits into buffers', async () => {
      const impatient = clamdScanner(places[place], { silence: 50 });
      await using small = await impatient.scan();
      await using large = await impatient.scan();
      process.kill(clamd.pid ?? assert.fail(), 'SIGSTOP');
      try {
        await small.push(plain);
        await assert.rejects(small.verdict(), { message: 'clamd: silent for 0.05 s' });
        await assert.rejects(large.push(Buffer.alloc(64 * LIMIT)), NO_VERDICT);
      } finally {
        process.kill(clamd.pid ?? assert.fail(), 'SIGCONT');
      }
    });

    it('a scan given up leaves clamd free for the next', async () => {
      const scan = await scanner().scan();
      await scan.push(plain.subarray(0, 50));
      await scan[Symbol.asyncDispose]();
      await assert.rejects(scan.push(plain.subarray(50)), NO_VERDICT);
      assert.equal(await verdict(scanner(), plain), EICAR_NAME);
    });
  });
}

it('nobody listening is known before the first byte', async () => {
  const port = await freePort();
  await assert.rejects(clamdScanner({ host: '127.0.0.1', port }).scan(), NO_VERDICT);
  await assert.rejects(clamdScanner({ host: 'localhost', port }).scan(), NO_VERDICT);
  await assert.rejects(clamdScanner({ path: join(folder.path, 'none.sock') }).scan(), NO_VERDICT);
});

/** A peer that reads the whole stream, then says `reply` and closes. */
async function peer(reply: string): Promise<Server> {
  const server = createServer(socket => {
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        if (chunk.subarray(-4).equals(Buffer.alloc(4))) socket.end(reply);
      });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

describe('of an answer', () => {
  for (const { reply, outcome } of [
    { reply: 'stream: OK\0', outcome: undefined },
    { reply: 'stream: A FOUND FOUND\0', outcome: 'A FOUND' },
  ]) {
    it(`${JSON.stringify(reply)} the verdict is ${outcome}`, async () => {
      await using server = await peer(reply);
      const { port } = server.address() as AddressInfo;
      assert.equal(await verdict(clamdScanner({ host: '127.0.0.1', port }), plain), outcome);
    });
  }

  for (const reply of [
    '',
    'stream: ',
    'stream: OK',
    'stream: A FOUND',
    'stream: OK\nstream: OK\0',
    'stream: A ERROR\0',
    'UNKNOWN COMMAND\0',
  ]) {
    it(`${JSON.stringify(reply)} there is no verdict`, async () => {
      await using server = await peer(reply);
      const { port } = server.address() as AddressInfo;
      await assert.rejects(verdict(clamdScanner({ host: '127.0.0.1', port }), plain), NO_VERDICT);
    });
  }
});
