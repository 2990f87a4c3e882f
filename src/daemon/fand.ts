#!/usr/bin/env node
/**
 * fand: the fan daemon, one a host (or network namespace). Started by `fanctl up`, or by a service; serves the
 * control socket, forwards through a worker thread, and leaves when the last fan is down.
 */
import { readlinkSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { errorText, FanError } from '../base/error.js';
import { createLog, type Logger } from '../base/log.js';
import { native } from '../io/native.js';
import { FanManager } from './fan-manager.js';
import { Forwarding } from './forwarding.js';
import {
  type DaemonStatus,
  type DownRequest,
  type RepairRequest,
  type RunPaths,
  runPaths,
  type UpRequest,
} from './protocol.js';
import { listen, type Routes } from './server.js';
import { StateStore } from './state-store.js';

const { version } = createRequire(import.meta.url)('#package') as { version: string };

const HELP = `usage: fand [--restore] [--remove-run-dir]

The fan daemon. "fanctl up" starts it where none runs; it leaves with the last "fanctl down".

  --restore         bring up the fans that a fand before this one left behind
  --remove-run-dir  remove UFAN_RUN_DIR as well when the last fan is down
  --help, --version

Environment: UFAN_RUN_DIR (/run/ufan), UFAN_LOG_LEVEL (info)
`;

/** Refuses a second fand on the same run directory; the lock goes with the process, however it ends. */
async function takeLock(paths: RunPaths): Promise<number> {
  await mkdir(paths.dir, { recursive: true, mode: 0o755 });
  try {
    return native.lockFile(paths.lock);
  } catch (cause) {
    if (
      (cause as { code?: string }).code !== 'EWOULDBLOCK' &&
      (cause as { code?: string }).code !== 'EAGAIN'
    ) {
      throw new FanError('daemon', `cannot lock ${paths.lock}: ${errorText(cause)}`, { cause });
    }
    const pid = await readFile(paths.pid, 'utf8').catch(() => '?');
    throw new FanError('daemon', `another fand (pid ${pid.trim()}) runs on ${paths.dir}`);
  }
}

async function removeFiles(paths: RunPaths, store: StateStore, removeRunDir: boolean): Promise<void> {
  await store.remove();
  for (const file of [paths.socket, paths.log, paths.pid, paths.lock]) await rm(file, { force: true });
  // Something else may have put its files there: then the directory stays.
  if (removeRunDir) await rmdir(paths.dir).catch(() => undefined);
}

async function main(log: Logger): Promise<void> {
  const { values } = parseArgs({
    options: {
      restore: { type: 'boolean', default: false },
      'remove-run-dir': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', default: false },
    },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `fand ${version}\n`);
    return;
  }
  if (process.geteuid?.() !== 0) throw new FanError('not-root', 'fand must run as root');

  const paths = runPaths();
  await takeLock(paths);
  await writeFile(paths.pid, `${process.pid}\n`);
  const store = new StateStore(paths.state);
  const state = await store.load();
  state.removeRunDir ||= values['remove-run-dir'];

  const forwarding = new Forwarding(log, {
    onDeath: (cause) => {
      log.fatal({ err: cause }, 'the forwarding worker died: fans are dead until the next "fanctl up"');
      process.exit(1);
    },
    onLost: (fan, message) => void manager.lost(fan, message),
  });
  const manager: FanManager = new FanManager(state, store, forwarding, paths.dir, log);
  const stop = async (clean: boolean): Promise<void> => {
    server.close();
    await forwarding.stop();
    if (clean) await removeFiles(paths, store, state.removeRunDir);
    else for (const file of [paths.socket, paths.pid]) await rm(file, { force: true });
    process.exit(0);
  };
  const leaveIfEmpty = (): void => {
    // After the reply is out.
    if (manager.isEmpty) setTimeout(() => manager.isEmpty && stop(true), 20);
  };

  const status: DaemonStatus = { pid: process.pid, version, netns: readlinkSync('/proc/self/ns/net') };
  const routes: Routes = {
    'GET /v1/status': () => status,
    'GET /v1/fans': () => manager.views,
    'POST /v1/fans': (body) => manager.up(body as UpRequest).finally(leaveIfEmpty),
    'DELETE /v1/fans': (body) => manager.down(body as DownRequest).finally(leaveIfEmpty),
    'GET /v1/stats': () => forwarding.stats(manager.records),
    'GET /v1/offenders': () => forwarding.offenders(manager.records),
    'POST /v1/repair': (body) => manager.repair(body as RepairRequest),
  };
  const server = await listen(paths.socket, routes, log);
  log.info({ runDir: paths.dir, netns: status.netns, version }, 'fand runs');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info(`${signal}: the fans stay on the host, "fanctl up" restores them`);
      void stop(false);
    });
  }
  if (values.restore) await manager.restore();
}

const log = createLog('fand');
main(log).catch((error) => {
  log.fatal({ err: error instanceof FanError ? undefined : error }, errorText(error));
  process.exitCode = 1;
  if (process.stderr.isTTY || !(error instanceof FanError))
    process.stderr.write(`fand: ${errorText(error)}\n`);
  process.exit();
});
