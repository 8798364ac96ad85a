// `pecd check`: tries what the configuration says, all at once, and changes nothing
import { ConfigError, loadConfig, plainly, StartupError } from '../config/load.ts';
import { exitCodes } from './exit-codes.ts';
import { type Probe, probesOf } from './probes.ts';

interface Result {
  readonly check: string;
  readonly detail: string;
  readonly exitCode: 0 | 69 | 78;
}

export interface CheckOptions {
  /** The configuration file. */
  readonly file: string;
  readonly json: boolean;
}

export interface Verdict {
  /** What to print: one line for each thing tried, or one JSON document. */
  readonly output: string;
  /** The worst of all: 78, then 69, then 0. */
  readonly exitCode: Result['exitCode'];
}

export async function check({ file, json }: CheckOptions): Promise<Verdict> {
  const results = await resultsOf(file);
  const rows = results.map(({ check: name, detail, exitCode }) => ({
    check: name,
    ok: exitCode === 0,
    detail,
  }));
  const output = json
    ? `${JSON.stringify(rows)}\n`
    : rows.map(({ check: name, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail}\n`).join('');
  return { output, exitCode: worstOf(results.map(({ exitCode }) => exitCode)) };
}

async function resultsOf(file: string): Promise<readonly Result[]> {
  try {
    const config = await loadConfig(file);
    const loaded: Result = { check: 'configuration', detail: file, exitCode: exitCodes.good };
    return [loaded, ...(await Promise.all(probesOf(config).map(tried)))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.lines.map(detail => ({ check: 'configuration', detail, exitCode: exitCodes.configuration }));
  }
}

async function tried({ check: name, failure, run }: Probe): Promise<Result> {
  try {
    return { check: name, detail: await run(), exitCode: exitCodes.good };
  } catch (error) {
    const exitCode = error instanceof StartupError ? error.exitCode : failure;
    return { check: name, detail: plainly(error), exitCode };
  }
}

function worstOf(codes: readonly Result['exitCode'][]): Result['exitCode'] {
  return ([78, 69] as const).find(code => codes.includes(code)) ?? 0;
}
