// What the process says to its caller when it ends. After sysexits(3)
import { ConfigError, plainly, StartupError } from '../config/load.ts';

export const exitCodes = {
  /** All is well. */
  good: 0,
  /** The checked thing is not good, or an error nobody foresaw. */
  notGood: 1,
  /** A command line that means nothing (EX_USAGE). */
  usage: 64,
  /** A service that we need cannot be reached (EX_UNAVAILABLE). */
  unreachable: 69,
  /** The configuration, or a file it names, cannot be used (EX_CONFIG). systemd does not restart on it. */
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The command line asks for something that cannot be. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Exit code and lines for standard error. A stack is shown only for what nobody foresaw. */
export function failure(error: unknown): { exitCode: ExitCode; lines: readonly string[] } {
  if (error instanceof ConfigError) return { exitCode: exitCodes.configuration, lines: error.lines };
  if (error instanceof StartupError) return { exitCode: error.exitCode, lines: [`pecd: ${error.message}`] };
  if (error instanceof UsageError) return { exitCode: exitCodes.usage, lines: [`pecd: ${error.message}`] };
  const foreseen = !(error instanceof Error) || 'errno' in error;
  const line = foreseen ? plainly(error) : (error.stack ?? error.message);
  return { exitCode: exitCodes.notGood, lines: [`pecd: ${line}`] };
}
