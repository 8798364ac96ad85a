// `pecd run` around an app that only says what is asked of it, and whose drain is over when a line comes on standard input
import { once } from 'node:events';
import { runDaemon } from '../../src/commands/run.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

await runDaemon(process.argv[2] ?? '', async (_config, { drain, abort }) => {
  say('started');
  drain.addEventListener('abort', () => say('draining'));
  abort.addEventListener('abort', () => say('aborted'));
  return {
    ended: once(process.stdin, 'data').then(() => {}),
    async reload({ limits }) {
      say(`reload: ${limits.recipients} recipients`);
    },
    [Symbol.asyncDispose]: async () => {
      say('disposed');
      process.stdin.destroy();
    },
  };
});
