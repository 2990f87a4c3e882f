/**
 * The commands of the documentation, as they stand there, page by page, in one lab. On the lab's first host
 * /run is its own, so that /run/ufan is what it is on a real one; the machine's /etc can't be written.
 */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../bench/lab/fan.js';
import type { Host } from '../../bench/lab/host.js';
import { createLab, type Lab } from '../../bench/lab/lab.js';
import type { Namespace } from '../../bench/lab/namespace.js';
import { REPOSITORY } from '../../bench/lab/repository.js';
import { type Block, documents, readBlocks } from '../command-blocks.js';
import { FAN } from './fan-lab.js';

/** What an operator watches before ^C. */
const WATCH_SECONDS = 2;
/** The exit codes of timeout: of a command that ended well by itself, or was there to be interrupted. */
const WATCHED = [0, 124];
const SHELL = ['bash', '-e', '-o', 'pipefail', '-c'];

let lab: Lab;
/** Where commands find this clone's programs; where they write their files. */
let bin: string;
let scratch: string;
/** Whether the fan of `run: fan` is up; null where a page did as it liked. */
let isRaised: boolean | null = false;

beforeAll(async () => {
  lab = await createLab();
  bin = join(lab.dir, 'bin');
  scratch = join(lab.dir, 'scratch');
  for (const dir of [bin, scratch]) mkdirSync(dir);
  for (const name of ['fanctl', 'fanatic', 'fand']) {
    symlinkSync(join(REPOSITORY, `packaging/bin/${name}.cjs`), join(bin, name));
  }
  writeFileSync(join(lab.dir, 'as-on-a-host'), asOnAHost(lab.host(1)));
  chmodSync(join(lab.dir, 'as-on-a-host'), 0o755);
});

afterAll(() => lab?.remove());

/** A script that becomes its arguments, where `ip netns exec` has made a mount namespace that is only its own. */
function asOnAHost({ dir }: Host): string {
  const run = join(lab.dir, 'run');
  return `#!/bin/sh -e
mkdir -p ${run}/ufan
mount --bind ${dir} ${run}/ufan
mount --rbind ${run} /run
mount --bind /etc /etc
mount -o remount,bind,ro /etc
export PATH=${bin}:$PATH UFAN_RUN_DIR=/run/ufan UFAN_CNI_DIR=${scratch}/net.d
cd ${scratch}
exec "$@"
`;
}

/** No fan up, and none in the file of fans. */
async function lower(): Promise<void> {
  const unplug = (host: Host) => host.ip(...host.containers.map(({ port }) => `link set ${port} nomaster`));
  await Promise.all(lab.hosts.map((host) => unplug(host).then(() => host.fanctl(['down', '-e']))));
  for (const { dir } of lab.hosts) rmSync(join(dir, 'fan.conf'), { force: true });
  isRaised = false;
}

/** Both hosts' fan up and their containers on it, whatever a page left. */
async function raise(): Promise<void> {
  if (isRaised) return;
  await lower();
  await Promise.all(lab.hosts.map((host) => raiseFan(host, FAN)));
  isRaised = true;
}

function inShell(where: Namespace, words: readonly string[]) {
  const isHost = where === lab.host(1);
  return where.exec(isHost ? [join(lab.dir, 'as-on-a-host'), ...words] : words, { anyExit: true });
}

/** Every line at once, beside packets that there are to see. */
async function runUntilInterrupt(host: Host, text: string): Promise<void> {
  const pings = lab.host(1).container(1).spawn(['ping', '-i', '0.2', '250.0.27.2']);
  try {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const limit = ['timeout', '-s', 'INT', '-k', '30', `${WATCH_SECONDS}`, ...SHELL];
    const ends = await Promise.all(lines.map((line) => inShell(host, [...limit, line])));
    for (const [i, { code, stderr }] of ends.entries()) {
      expect(WATCHED, `${lines[i]}\n${stderr}`).toContain(code);
    }
  } finally {
    await pings.stop('SIGINT');
  }
}

async function runBlock({ mark, text }: Block): Promise<void> {
  if (mark?.kind !== 'run') return;
  const host = lab.host(1);
  if (mark.place === 'host') {
    isRaised = null;
  } else {
    await raise();
  }
  if (mark.untilInterrupt) return runUntilInterrupt(host, text);
  const where = mark.place === 'container' ? host.container(1) : host;
  const { code, stdout, stderr } = await inShell(where, [...SHELL, text]);
  expect(code, `${text}\n${stdout}${stderr}`).toBe(0);
}

const startsOnHost = ([first]: readonly Block[]): boolean =>
  first?.mark?.kind === 'run' && first.mark.place === 'host';

/** Those first that a fan is up for: one does for all of them. */
const PAGES = documents()
  .map((document) => ({ document, blocks: readBlocks(document).filter(({ mark }) => mark?.kind === 'run') }))
  .filter(({ blocks }) => blocks.length > 0)
  .sort((a, b) => Number(startsOnHost(a.blocks)) - Number(startsOnHost(b.blocks)));

describe('the commands of', () => {
  it.each(PAGES)('$document do what they say', async ({ blocks }) => {
    if (isRaised === null || startsOnHost(blocks)) await lower();
    for (const block of blocks) await runBlock(block);
  });
});
