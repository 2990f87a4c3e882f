/** What the tests of `fanctl doctor` ask: its findings on a host of a lab, and by name what failed. */
import type { Host } from '../../../bench/lab/host.js';
import type { CheckResult } from '../../../src/control/protocol.js';

export interface Diagnosis {
  readonly code: number;
  readonly results: readonly CheckResult[];
  /** What `--fix` says that it did. */
  readonly notes: string;
}

export async function diagnose(host: Host, ...options: string[]): Promise<Diagnosis> {
  const { code, stdout, stderr } = await host.fanctl(['doctor', '--json', ...options], { anyExit: true });
  try {
    return { code, results: JSON.parse(stdout) as CheckResult[], notes: stderr };
  } catch {
    throw new Error(`doctor (exit ${code}) printed no JSON: ${stdout}${stderr}`);
  }
}

/** Names of the checks that fail, each once; warnings count as well where there is no failure to explain them. */
export async function failures(host: Host, ...options: string[]): Promise<string[]> {
  const { code, results } = await diagnose(host, ...options);
  const failed = named(results, 'fail');
  if (code !== (failed.length > 0 ? 1 : 0)) throw new Error(`exit ${code}: ${JSON.stringify(results)}`);
  return failed;
}

export function named(results: readonly CheckResult[], status: CheckResult['status']): string[] {
  return [...new Set(results.filter((one) => one.status === status).map(({ check }) => check))];
}

/** Neither a failure nor a warning. */
export async function troubles(host: Host): Promise<CheckResult[]> {
  return (await diagnose(host)).results.filter(({ status }) => status !== 'ok');
}
