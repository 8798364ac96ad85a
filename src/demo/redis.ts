// A private Redis that writes every change to its append-only file
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Server } from './processes.ts';

export interface RedisPlan {
  /** Made if missing; what it holds survives a restart, and a kill. */
  readonly folder: string;
  readonly port: number;
}

export async function startRedis({ folder, port }: RedisPlan): Promise<Server> {
  await mkdir(folder, { recursive: true });
  const server = new Server({
    name: 'redis-server',
    command: 'redis-server',
    args: [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder],
      ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
    ],
    log: join(folder, 'redis.log'),
    isReady: log => log.includes('Ready to accept connections'),
  });
  await server.start();
  return server;
}
