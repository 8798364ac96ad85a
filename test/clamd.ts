// A real clamd of a test's own: loopback and a socket in its folder, a signature database that knows nothing but EICAR
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Server } from '../src/demo/processes.ts';

/** The test file of the anti-virus vendors (eicar.org), in two halves, so that no scanner takes this file for it. */
export const EICAR = [
  String.raw`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-`,
  'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*',
].join('');

/** What `startClamd` has clamd call it. */
export const EICAR_NAME = 'Eicar-Test-Signature.UNOFFICIAL';

export interface ClamdPlan {
  /** Made if missing. */
  readonly folder: string;
  readonly port: number;
  /** Names and values of clamd.conf on top of what a private server needs. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** It listens on 127.0.0.1:PORT and on FOLDER/clamd.sock. */
export async function startClamd({ folder, port, settings = {} }: ClamdPlan): Promise<Server> {
  const database = join(folder, 'database');
  await mkdir(database, { recursive: true });
  const signature = Buffer.from(EICAR, 'latin1').toString('hex');
  await writeFile(join(database, 'eicar.ndb'), `Eicar-Test-Signature:0:*:${signature}\n`);
  const socket = join(folder, 'clamd.sock');
  const config = {
    Foreground: 'yes',
    DatabaseDirectory: database,
    TemporaryDirectory: folder,
    LocalSocket: socket,
    TCPSocket: String(port),
    TCPAddr: '127.0.0.1',
    ...settings,
  };
  const file = join(folder, 'clamd.conf');
  const lines = Object.entries(config).map(([name, value]) => `${name} ${value}\n`);
  await writeFile(file, lines.join(''));
  const server = new Server({
    name: 'clamd',
    command: 'clamd',
    args: ['--config-file', file],
    log: join(folder, 'clamd.log'),
    isReady: async () => (await answers({ port })) && (await answers({ path: socket })),
  });
  await server.start();
  return server;
}

async function answers(address: { readonly port: number } | { readonly path: string }): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', ...address }).on('error', () => {});
  try {
    socket.write('zPING\0');
    return (await text(socket)) === 'PONG\0';
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
