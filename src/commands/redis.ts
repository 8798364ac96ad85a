// Redis for a command: one attempt, and an answer soon
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { connectRedis } from '../adapters/redis-queue.ts';
import { plainly, StartupError } from '../config/load.ts';

/** In milliseconds. */
const PATIENCE = 5_000;

/**
 * Connects to `url`, hands the connection to `use` and closes it. All that fails becomes a StartupError: 69, unless
 * `use` throws one of its own.
 */
export async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectRedis(url);
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(PATIENCE) });
    return await use(redis);
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    const isSilent = cause instanceof Error && cause.name === 'AbortError';
    const why = isSilent ? `no answer within ${PATIENCE / 1000} s` : plainly(cause);
    throw new StartupError(69, `Redis at ${place(url)}: ${why}`, { cause });
  } finally {
    redis.disconnect();
  }
}

/** The URL without user, password and options. */
function place(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
