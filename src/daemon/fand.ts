#!/usr/bin/env node
/**
 * fand: the fan daemon, one a host (or network namespace). Started by `fanctl up`, or by a service; serves the
 * control socket, forwards through worker threads, and leaves when the last fan is down. Here: its words, its
 * signals and its exit status; daemon.ts is the rest.
 */
import { availableParallelism } from 'node:os';
import { createParser, type Parsed, packageVersion, readWords, runParser } from '../base/command-line.js';
import { errorText, FanError } from '../base/error.js';
import { createLog, type Logger } from '../base/log.js';
import { defaultWorkers, MOST_WORKERS, parseWorkers } from '../config/worker-count.js';
import { EXIT_LOCKED, runPaths } from '../control/protocol.js';
import { Locked } from '../control/run-dir.js';
import { confine } from './confinement.js';
import type { DaemonOptions } from './daemon.js';
import { Predecessor } from './handover/predecessor.js';
import { type MetricsAddress, parseMetricsAddress } from './metrics-port.js';
import { ServiceManager } from './service-manager.js';

const FAND: Parsed = {
  name: 'fand',
  synopsis: [
    '[--workers N] [--restore] [--remove-run-dir] [--leave-after SECONDS] [--metrics ADDRESS:PORT]',
    '--version',
  ],
  description:
    'The fan daemon. "fanctl up" starts it where none runs; it leaves with the last "fanctl down".',
  options: [
    {
      names: ['--workers'],
      value: 'N',
      summary: `forwarding threads, 1 to ${MOST_WORKERS}: by default one for two CPUs, 4 at most`,
    },
    { names: ['--restore'], summary: 'bring up the fans that a fand before this one left behind' },
    { names: ['--remove-run-dir'], summary: 'remove UFAN_RUN_DIR as well when the last fan is down' },
    {
      names: ['--leave-after'],
      value: 'SECONDS',
      summary: 'leave where no fan has come up by then; fanctl gives 30',
    },
    {
      names: ['--metrics'],
      value: 'ADDRESS:PORT',
      summary: 'serve metrics on a loopback port too, such as 127.0.0.1:9477',
    },
  ],
  sections: [
    [
      'Environment',
      [
        ['UFAN_RUN_DIR', 'directory of socket, state and log: /run/ufan'],
        ['UFAN_STATE_DIR', 'directory of what outlives a boot, such as leases: /var/lib/ufan'],
        ['UFAN_GROUP', 'group that may use the control socket beside root, where there is one: ufan'],
        ['UFAN_LOG_LEVEL', 'trace, debug, info, warn, error or silent: info'],
        ['UFAN_METRICS', 'as --metrics'],
        ['UFAN_IO_URING', 'on or off: read and write several packets of a TUN by one system call: on'],
        ['UFAN_RESPONDER', 'on or off: answer the probes of peers: on'],
        ['UFAN_WORKERS', 'as --workers'],
      ],
    ],
    [
      'Exit status',
      [
        ['0', 'after the last fan or a signal'],
        ['1', 'after an error'],
        [`${EXIT_LOCKED}`, 'where another fand runs on UFAN_RUN_DIR'],
      ],
    ],
  ],
  examples: ['fand --workers 2', 'fand --restore --metrics 127.0.0.1:9477'],
};

/** A day: nobody waits longer for a first fan. */
const MOST_SECONDS = 86_400;

interface WordOptions extends Pick<DaemonOptions, 'removeRunDir' | 'leaveAfterMs'> {
  readonly restore: boolean;
  readonly workers?: number;
  readonly metrics?: MetricsAddress | undefined;
}

/** What the words say; those that are not given are left out. Throws FanError usage. */
function readOptions(given: ReadonlyMap<string, string>): WordOptions {
  const workers = given.get('--workers');
  const metrics = given.get('--metrics');
  return {
    restore: given.has('--restore'),
    removeRunDir: given.has('--remove-run-dir'),
    leaveAfterMs: readSeconds(given.get('--leave-after') ?? '0') * 1000,
    ...(workers !== undefined && { workers: parseWorkers('--workers', workers) }),
    ...(metrics !== undefined && { metrics: parseMetrics(metrics) }),
  };
}

/** The environment's part, where the words have not said it. Throws FanError usage. */
function readEnvironment(words: WordOptions): Omit<DaemonOptions, 'service'> {
  const { UFAN_METRICS = '', UFAN_WORKERS = '' } = process.env;
  // Each worker reads it for itself.
  readSwitch('UFAN_IO_URING');
  return {
    paths: runPaths(),
    version: packageVersion(),
    hasResponder: readSwitch('UFAN_RESPONDER'),
    metrics: 'metrics' in words ? words.metrics : parseMetrics(UFAN_METRICS),
    workers: words.workers ?? readWorkers(UFAN_WORKERS),
    removeRunDir: words.removeRunDir,
    leaveAfterMs: words.leaveAfterMs,
  };
}

function readWorkers(set: string): number {
  return set === '' ? defaultWorkers(availableParallelism()) : parseWorkers('UFAN_WORKERS', set);
}

function parseMetrics(text: string): MetricsAddress | undefined {
  return text === '' ? undefined : parseMetricsAddress(text);
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

async function serve(given: ReadonlyMap<string, string>, log: Logger): Promise<void> {
  const predecessor = Predecessor.fromEnvironment();
  try {
    await serveAfter(predecessor, given, log);
  } catch (error) {
    await predecessor?.fail(error);
    throw error;
  }
}

async function serveAfter(
  predecessor: Predecessor | undefined,
  given: ReadonlyMap<string, string>,
  log: Logger,
): Promise<void> {
  const words = readOptions(given);
  const manager = ServiceManager.fromEnvironment(log);
  const options = { ...readEnvironment(words), service: manager };
  if (process.geteuid?.() !== 0) throw new FanError('not-root', 'fand must run as root');
  const heritage = await predecessor?.heritage();
  // Behind confine(): what begins anew has not loaded it twice.
  const { Daemon } = await import('./daemon.js');
  const starting =
    predecessor && heritage
      ? Daemon.takeOver({ ...options, workers: heritage.workers }, heritage, predecessor, log)
      : Daemon.start(options, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      manager.stopping();
      // One that fails to start has already left nothing behind.
      void starting.then((daemon) => daemon.stop(signal)).catch(() => undefined);
    });
  }
  const daemon = await starting;
  if (words.restore && !predecessor) await daemon.restore();
  manager.ready();
}

/** What keeps it from serving is logged, and told to a terminal as a line. */
async function serveAndLog(given: ReadonlyMap<string, string>): Promise<void> {
  const confined = confine();
  const log = await createLog('fand');
  if (confined !== undefined) log.warn(confined);
  try {
    await serve(given, log);
  } catch (error) {
    log.fatal({ err: error instanceof FanError ? undefined : error }, errorText(error));
    process.exitCode = error instanceof Locked ? EXIT_LOCKED : 1;
    if (process.stderr.isTTY || !(error instanceof FanError))
      process.stderr.write(`fand: ${errorText(error)}\n`);
    process.exit();
  }
}

/** A word that fand doesn't know is told to whoever wrote it: before that there is no log. */
async function main(argv: readonly string[]): Promise<void> {
  const parser = createParser(FAND).version(`fand ${packageVersion()}`, '--version', 'print the version');
  parser.action(() => serveAndLog(readWords(parser, FAND.options).given));
  try {
    await runParser(parser, argv);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`fand: ${errorText(error)}\n`);
  }
}

void main(process.argv.slice(2));
