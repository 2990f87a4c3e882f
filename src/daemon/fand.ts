#!/usr/bin/env node
/**
 * fand: the fan daemon, one a host (or network namespace). Started by `fanctl up`, or by a service; serves the
 * control socket, forwards through worker threads, and leaves when the last fan is down. Here: its words, its
 * signals and its exit status; daemon.ts is the rest.
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { errorText, FanError } from '../base/error.js';
import { createLog, type Logger } from '../base/log.js';
import { defaultWorkers, MOST_WORKERS, parseWorkers } from '../config/worker-count.js';
import { EXIT_LOCKED, runPaths } from '../control/protocol.js';
import { Locked } from '../control/run-dir.js';
import { Daemon, type DaemonOptions } from './daemon.js';
import { parseMetricsAddress } from './metrics-port.js';

const HELP = `usage: fand [--workers N] [--restore] [--remove-run-dir] [--leave-after SECONDS] [--metrics ADDRESS:PORT]

The fan daemon. "fanctl up" starts it where none runs; it leaves with the last "fanctl down".

  --workers N             forwarding threads, 1 to ${MOST_WORKERS}: by default one for two CPUs, 4 at most
  --restore               bring up the fans that a fand before this one left behind
  --remove-run-dir        remove UFAN_RUN_DIR as well when the last fan is down
  --leave-after SECONDS   leave where no fan has come up by then; fanctl gives 30
  --metrics ADDRESS:PORT  serve metrics on a loopback port too, such as 127.0.0.1:9477
  --help, --version

Environment: UFAN_RUN_DIR (/run/ufan), UFAN_LOG_LEVEL (info), UFAN_METRICS (as --metrics), UFAN_RESPONDER (on),
             UFAN_WORKERS (as --workers)
Exit status: 0 after the last fan or a signal, 1 after an error, ${EXIT_LOCKED} where another fand runs on UFAN_RUN_DIR
`;

/** A day: nobody waits longer for a first fan. */
const MOST_SECONDS = 86_400;

interface Arguments extends DaemonOptions {
  readonly restore: boolean;
}

/** Undefined where only help or the version was asked for, which it prints. Throws FanError, or parseArgs' error. */
function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      workers: { type: 'string' },
      restore: { type: 'boolean', default: false },
      'remove-run-dir': { type: 'boolean', default: false },
      'leave-after': { type: 'string', default: '0' },
      metrics: { type: 'string', default: process.env.UFAN_METRICS ?? '' },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', default: false },
    },
  });
  const { version } = createRequire(import.meta.url)('#package') as { version: string };
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `fand ${version}\n`);
    return undefined;
  }
  return {
    paths: runPaths(),
    version,
    restore: values.restore,
    removeRunDir: values['remove-run-dir'],
    workers: readWorkers(values.workers),
    hasResponder: readSwitch('UFAN_RESPONDER'),
    leaveAfterMs: readSeconds(values['leave-after']) * 1000,
    metrics: values.metrics === '' ? undefined : parseMetricsAddress(values.metrics),
  };
}

function readWorkers(given: string | undefined): number {
  if (given !== undefined) return parseWorkers('--workers', given);
  const set = process.env.UFAN_WORKERS || undefined;
  return set === undefined ? defaultWorkers(availableParallelism()) : parseWorkers('UFAN_WORKERS', set);
}

/** An environment variable that is on unless it says off. */
function readSwitch(name: string): boolean {
  const value = process.env[name] || 'on';
  if (value === 'on' || value === 'off') return value === 'on';
  throw new FanError('usage', `${name}: "${value}" is neither on nor off`);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^[0-9.]+$/.test(text) && seconds >= 0 && seconds <= MOST_SECONDS) return seconds;
  throw new FanError('usage', `--leave-after: "${text}" is no number of seconds from 0 to ${MOST_SECONDS}`);
}

async function main(log: Logger): Promise<void> {
  const args = readArguments();
  if (!args) return;
  if (process.geteuid?.() !== 0) throw new FanError('not-root', 'fand must run as root');
  const starting = Daemon.start(args, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // One that fails to start has already left nothing behind.
    process.on(signal, () => void starting.then((daemon) => daemon.stop(signal)).catch(() => undefined));
  }
  const daemon = await starting;
  if (args.restore) await daemon.restore();
}

const log = createLog('fand');
main(log).catch((error) => {
  log.fatal({ err: error instanceof FanError ? undefined : error }, errorText(error));
  process.exitCode = error instanceof Locked ? EXIT_LOCKED : 1;
  if (process.stderr.isTTY || !(error instanceof FanError))
    process.stderr.write(`fand: ${errorText(error)}\n`);
  process.exit();
});
