// Programs that are started and ended: each leads a process group of its own, so that nothing of it stays behind
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** In milliseconds. */
const TO_BECOME_READY = 30_000;
const TO_END = 20_000;

export interface Program {
  /** What errors call it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Path of the file that its standard output and error are appended to. */
  readonly log: string;
  /** Asked again and again with what the log says since the start. */
  isReady(log: string): boolean | Promise<boolean>;
}

const groups = new Set<number>();

// However this process ends (an uncaught error, process.exit), it takes its programs along; only SIGKILL escapes.
process.on('exit', () => {
  for (const group of groups) signal(-group, 'SIGKILL');
});

/** One program, startable again after it was stopped or killed. Disposing it stops it. */
export class Server implements AsyncDisposable {
  readonly program: Program;
  #child: ChildProcess | undefined;
  #ending: string | undefined;

  constructor(program: Program) {
    this.program = program;
  }

  /** Of the program while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the program is ready; rejects with the end of its log if it ends before, or takes too long. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.program.name} runs already`);
    const { name, command, args, log, isReady } = this.program;
    await using output = await open(log, 'a+');
    const { size: before } = await output.stat();
    const child = spawn(command, args, { detached: true, stdio: ['ignore', output.fd, output.fd] });
    this.#ending = undefined;
    child.once('exit', (code, by) => {
      this.#ending = by === null ? `ended with code ${code}` : `was ended by ${by}`;
    });
    await once(child, 'spawn');
    this.#child = child;
    if (child.pid !== undefined) groups.add(child.pid);
    try {
      await until(`${name} to become ready`, TO_BECOME_READY, async () => {
        this.assertAlive();
        return isReady((await readFile(log)).subarray(before).toString());
      });
    } catch (trouble) {
      await this.kill();
      throw new Error(`${(trouble as Error).message}\n${await lastLines(log)}`, { cause: trouble });
    }
  }

  /** Throws if the program ended although nobody asked it to. */
  assertAlive(): void {
    if (this.#ending !== undefined) throw new Error(`${this.program.name} ${this.#ending}`);
  }

  /** Asks the program to end (SIGTERM) and waits until its last process is gone. Rejects if it had to be killed. */
  async stop(): Promise<void> {
    const group = this.#release();
    if (group === undefined) return;
    // Without its leader nobody passes a request on.
    if (this.#ending === undefined) signal(group, 'SIGTERM');
    else signal(-group, 'SIGKILL');
    try {
      await goneWithin(TO_END, group, this.program.name);
    } catch (trouble) {
      signal(-group, 'SIGKILL');
      await goneWithin(TO_END, group, this.program.name);
      throw trouble;
    }
  }

  /** SIGKILL to all its processes: what a crash is like. */
  async kill(): Promise<void> {
    const group = this.#release();
    if (group === undefined) return;
    signal(-group, 'SIGKILL');
    await goneWithin(TO_END, group, this.program.name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #release(): number | undefined {
    const group = this.#child?.pid;
    this.#child?.removeAllListeners('exit');
    this.#child = undefined;
    return group;
  }
}

async function goneWithin(milliseconds: number, group: number, name: string): Promise<void> {
  await until(`${name} to end`, milliseconds, async () => (await membersOf(group)).length === 0);
  groups.delete(group);
}

function signal(target: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(target, name);
  } catch (trouble) {
    if ((trouble as NodeJS.ErrnoException).code !== 'ESRCH') throw trouble;
  }
}

/** The ids of a process group's members, without those that only wait for their parent to notice their end. */
export async function membersOf(group: number): Promise<readonly number[]> {
  const ids = (await readdir('/proc')).map(Number).filter(id => id > 0);
  const members = await Promise.all(
    ids.map(async id => {
      const stat = await readFile(`/proc/${id}/stat`, 'latin1').catch(() => '');
      // proc_pid_stat(5): the name, in parentheses, may hold anything.
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(itsGroup) === group && state !== 'Z' ? [id] : [];
    }),
  );
  return members.flat();
}

/** Asks until the answer is true; rejects after that many milliseconds, when an answer throws, or when `given` aborts. */
export async function until(
  what: string,
  milliseconds: number,
  answer: () => boolean | Promise<boolean>,
  given?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await answer())) {
    if (performance.now() > deadline) throw new Error(`Waited ${milliseconds / 1000} s in vain for ${what}`);
    await pause(20, undefined, given && { signal: given });
  }
}

/** The end of a log file, for people. */
export async function lastLines(file: string, count = 15): Promise<string> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).trimEnd().split('\n');
  return lines
    .slice(-count)
    .map(line => `  ${line}`)
    .join('\n');
}
