// Loopback ports for servers that have to be told theirs before they start
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

// Below the range that Linux draws the local ports of connections from: a server that is down keeps its port.
const LOWEST = 20_000;
const HIGHEST = 32_000;

/** A TCP port of 127.0.0.1 that is free now, and that nobody else is given here as long as this process lives. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if ((await claim(port)) && (await isFree(port))) return port;
  }
  throw new Error(`No free port between ${LOWEST} and ${HIGHEST}`);
}

/** A name in the abstract socket namespace: the kernel gives it to one process, and takes it back when that ends. */
async function claim(port: number): Promise<boolean> {
  const name = createServer().listen(`\0pecd-demo-port-${port}`);
  name.unref();
  try {
    await once(name, 'listening');
    return true;
  } catch {
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** Whether somebody listens there. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
