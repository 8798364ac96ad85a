// `pecd run`: the daemon between its signals. The first SIGTERM or SIGINT drains, the second ends at once, SIGHUP reloads
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { App, startApp } from '../app.ts';
import { waitingForRestart } from '../config/keys.ts';
import { ConfigError, loadConfig, plainly } from '../config/load.ts';
import type { Config } from '../config/schema.ts';

/** Runs what `start` makes of the configuration in `file`, until it has drained. Throws a ConfigError or a StartupError. */
export async function runDaemon(file: string, start: typeof startApp): Promise<void> {
  const config = await loadConfig(file);
  const drain = new AbortController();
  const abort = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    if (!drain.signal.aborted) return drain.abort();
    abort.abort();
    // Die of the signal, so that whoever sent it (a shell, systemd) sees what ended us.
    process.removeListener(signal, stop).kill(process.pid, signal);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);

  // One reload at a time, in the order of the signals; those that come before the start wait for it.
  let reloads = Promise.resolve();
  const hangUp = () => {
    reloads = reloads.then(async () => reload(await starting, config, file)).catch(() => {});
  };
  process.on('SIGHUP', hangUp);
  const starting = start(config, { drain: drain.signal, abort: abort.signal });
  try {
    await using app = await starting;
    if (!drain.signal.aborted) await tellReady();
    await app.ended;
  } finally {
    process.removeListener('SIGHUP', hangUp).removeListener('SIGTERM', stop).removeListener('SIGINT', stop);
  }
}

/** Puts the file as it is now in force, as far as a running daemon can. On any error all stays as it was. */
async function reload(app: App, started: Config, file: string): Promise<void> {
  try {
    const wanted = await loadConfig(file);
    await app.reload(wanted);
    const waiting = waitingForRestart(started, wanted);
    complain(
      waiting.length === 0
        ? 'reloaded'
        : `reloaded; changed, but in force only after a restart: ${waiting.join(', ')}`,
    );
  } catch (error) {
    const why = error instanceof ConfigError ? error.lines.join('; ') : plainly(error);
    complain(`not reloaded, the old configuration stays in force: ${why}`);
  }
}

/** Tells the service manager, if it asked for it, that we serve (sd_notify(3)). The app has written the log line. */
async function tellReady(): Promise<void> {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  // Node has no Unix datagram sockets. systemd-notify lives until its message was read: systemd knows whose child it is.
  await promisify(execFile)('systemd-notify', ['--ready']).catch(error =>
    complain(`systemd-notify could not tell that we are ready: ${plainly(error)}`),
  );
}

function complain(line: string): void {
  process.stderr.write(`pecd: ${line}\n`);
}
