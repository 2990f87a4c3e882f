/**
 * `npm run soak -- [MINUTES]`: two hosts and a container each in namespaces of their own, traffic both ways whose every
 * byte is compared, and faults one after the other for that long. Writes a table of them, and what fand takes in the first
 * rounds and in the last ones; exit 1 where a connection broke, a byte changed, or fand holds more than before.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FandClient } from '../../src/control/client.js';
import { runPaths } from '../../src/control/protocol.js';
import type { RunningCommand } from '../lab/command.js';
import { containerAddress, type RaisedFan, raiseFan } from '../lab/fan.js';
import type { Host } from '../lab/host.js';
import { createLab, type Lab } from '../lab/lab.js';
import { FAULTS, type Fault, fandPid } from './faults.js';
import {
  addTo,
  early,
  hasFailed,
  late,
  leaks,
  type Report,
  type Row,
  table,
  type Use,
  useLine,
} from './report.js';

const FAN = ['250.0.0.0/8', 'eth0/16'];
const PEER = join(fileURLToPath(new URL('.', import.meta.url)), 'peer.js');
const DEFAULT_MINUTES = 2;
/** Traffic that does not come back within this is as good as lost: what healing and TCP's timers may take. */
const PATIENCE_MS = 60_000;
/** Bytes and answers after which a fault is over for who sends. */
const FLOWS = { bytes: 1 << 20, answers: 10 };
const POLL_MS = 100;
/** At what fand holds. */
const LOOKS = 10;
const LOOK_MS = 300;

/** One way: who talks, and its reports. */
class Talk {
  readonly #command: RunningCommand;
  #lines = 0;

  constructor(command: RunningCommand) {
    this.#command = command;
  }

  /** Since the last one. */
  async report(): Promise<Report> {
    this.#command.say('\n');
    for (let waited = 0; ; waited += POLL_MS) {
      const line = this.#command.stdout.split('\n').slice(this.#lines, -1)[0];
      if (line !== undefined) {
        this.#lines += 1;
        return JSON.parse(line) as Report;
      }
      if (!this.#command.running || waited > PATIENCE_MS)
        throw new Error(`a peer is silent: ${this.#command.stderr}`);
      await sleep(POLL_MS);
    }
  }

  /** Adds what it reports to `row` until traffic flows as ever. */
  async settle(row: Row): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    for (let bytes = 0, answers = 0; bytes < FLOWS.bytes || answers < FLOWS.answers; ) {
      if (Date.now() > deadline)
        throw new Error(`${row.fault}: traffic did not come back within ${PATIENCE_MS / 1000} s`);
      await sleep(POLL_MS);
      const report = await this.report();
      addTo(row, report);
      bytes += report.bytes;
      answers += report.answers;
    }
  }
}

/** Of several looks the least: what it holds, without what waits to be collected, or for an answer. */
async function useOf(host: Host): Promise<Use> {
  const looks: Use[] = [];
  for (let i = 0; i < LOOKS; i++) {
    const { rssBytes, openFiles } = await new FandClient(runPaths(host.dir)).activity();
    looks.push({ rssBytes, openFiles, threads: readdirSync(`/proc/${fandPid(host)}/task`).length });
    await sleep(LOOK_MS);
  }
  const least = (of: (use: Use) => number): number => Math.min(...looks.map(of));
  return {
    rssBytes: least((use) => use.rssBytes),
    openFiles: least((use) => use.openFiles),
    threads: least((use) => use.threads),
  };
}

async function befall(fault: Fault, row: Row, lab: Lab, fans: readonly RaisedFan[], talks: readonly Talk[]) {
  await fault.inject(lab, fans[0]!.view, FAN);
  row.times += 1;
  await Promise.all(talks.map((talk) => talk.settle(row)));
}

async function soak(lab: Lab, endMs: number): Promise<boolean> {
  const fans = await Promise.all(lab.hosts.map((host) => raiseFan(host, FAN)));
  const commands = lab.hosts.map((host) => host.container(1).spawn([process.execPath, PEER, 'serve']));
  try {
    for (const command of commands) await command.prints(/ready/);
    const talks = [0, 1].map((from) => {
      const address = containerAddress(fans[1 - from]!.view, 1);
      const argv = [process.execPath, PEER, 'talk', address];
      commands.push(
        lab
          .host(from + 1)
          .container(1)
          .spawn(argv, { openInput: true }),
      );
      return new Talk(commands.at(-1)!);
    });
    const rows = FAULTS.map(
      ({ name }): Row => ({ fault: name, times: 0, bytes: 0, mismatched: 0, lost: 0, longestGapMs: 0 }),
    );
    const warmUp: Row = { fault: 'start', times: 0, bytes: 0, mismatched: 0, lost: 0, longestGapMs: 0 };
    await Promise.all(talks.map((talk) => talk.settle(warmUp)));
    const taken: Use[][] = lab.hosts.map(() => []);
    do {
      for (const [i, fault] of FAULTS.entries()) await befall(fault, rows[i]!, lab, fans, talks);
      for (const [i, host] of lab.hosts.entries()) taken[i]!.push(await useOf(host));
    } while (Date.now() < endMs);
    const [before, after] = [taken.map(early), taken.map(late)];
    const uses = lab.hosts.map((_, i) => useLine(`fand of host ${i + 1}`, before[i]!, after[i]!));
    process.stdout.write(`${[table(rows), '', ...uses].join('\n')}\n`);
    return hasFailed(rows) || lab.hosts.some((_, i) => leaks(before[i]!, after[i]!).length > 0);
  } finally {
    for (const command of commands) await command.stop();
  }
}

const minutes = Number(process.argv[2] ?? DEFAULT_MINUTES);
if (!(minutes >= 0) || process.argv.length > 3) {
  process.stderr.write('soak: give the minutes as a number, as in "npm run soak -- 10"\n');
  process.exit(1);
}
const lab = await createLab();
try {
  process.exitCode = (await soak(lab, Date.now() + minutes * 60_000)) ? 1 : 0;
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`soak: ${(error as Error).message}\n`);
} finally {
  lab.remove();
}
