/** Programs and services of the host that a runtime needs: whether they are there, and restarted. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../base/error.js';
import { isInstalled, run } from '../host/run.js';

/** How long a runtime may take to answer after its restart. */
const READY_MS = 60_000;
const RETRY_MS = 100;

/** Throws FanError unsupported, with the package, where none of the programs is there. */
export async function requireProgram(
  programs: readonly string[],
  title: string,
  install: string,
): Promise<void> {
  for (const program of programs) if (await isInstalled(program)) return;
  throw new FanError(
    'unsupported',
    `${title} is not on this host (no ${programs.join(', no ')}): ${install}`,
  );
}

/** By systemctl where systemd runs, else by service. Throws FanError unsupported, step-failed. */
export async function restartService(name: string): Promise<void> {
  const hasSystemd = await stat('/run/systemd/system').then(
    () => true,
    () => false,
  );
  if (hasSystemd && (await isInstalled('systemctl'))) await run('systemctl', ['restart', name]);
  else if (await isInstalled('service')) await run('service', [name, 'restart']);
  else {
    const remedy = 'say --no-restart, and restart it yourself';
    throw new FanError('unsupported', `neither systemctl nor service is there to restart ${name}: ${remedy}`);
  }
}

/** Waits until `ask` no longer throws. Throws FanError step-failed with what it said last. */
export async function awaitReady(title: string, ask: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      await ask();
      return;
    } catch (cause) {
      if (Date.now() > deadline) {
        const said = errorText(cause);
        throw new FanError('step-failed', `${title} does not answer after its restart: ${said}`, { cause });
      }
      await sleep(RETRY_MS);
    }
  }
}
