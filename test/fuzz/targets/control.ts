/**
 * The control socket of a real fand with a fan, in a network namespace of its own: requests that are almost right, and
 * bytes that are none. Each connection is answered or closed, no request meets an error that nobody foresaw, and in the
 * end fand still has its fan.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { DEFAULT_OPTIONS } from '../../../src/config/fan-options.js';
import { FandClient } from '../../../src/control/client.js';
import { type RunPaths, runPaths } from '../../../src/control/protocol.js';
import { built } from '../../cli/run-cli.js';
import type { Target } from '../target.js';

const CASES = 60;
const PATIENCE_MS = 20_000;
/** Of a trace, whose stream lasts until its client has enough, and of a request that breaks off. */
const ENOUGH_MS = 30;
const FAN = { overlay: '250.0.0.0/8', underlay: 'under0/16' };
const SET_UP = `ip link set lo up && ip link add under0 type veth peer name under1 && ip address add 172.30.0.28/16 dev under0 &&
  ip link set under0 up && ip link set under1 up && exec "$0" "$@"`;
/** What fand says of an error that is not one of its own. */
const UNFORESEEN = 'request failed';

/** Almost right: fields left out, of other types, of values next to those that are taken. */
const odd = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1e9, '', '..', [], {}),
  fc.jsonValue({ maxDepth: 2 }),
);
const BODIES: readonly (readonly [route: string, body: object])[] = [
  [
    'POST /v1/fans',
    { ...FAN, overlay: '99.0.0.0/8', underlay: 'absent0/16', options: { ...DEFAULT_OPTIONS } },
  ],
  ['POST /v1/fans', { ...FAN, options: { ...DEFAULT_OPTIONS } }],
  ['DELETE /v1/fans', { overlay: '99.0.0.0/8', underlay: 'absent0/16', every: false }],
  ['POST /v1/explain', { address: '250.0.27.2', from: '250.0.28.2' }],
  ['POST /v1/repair', { repairs: ['route', 'nat', 'toString'] }],
  ['POST /v1/trace', { snapLen: 96, recordsPerSecond: 10, bytesPerSecond: 9999, program: [6, 0, 0, 1] }],
  ['DELETE /v1/trace', { session: 1 }],
  ['POST /v1/probe', { target: '172.31.0.1', count: 1 }],
  ...['status', 'fans', 'stats', 'offenders', 'activity'].map((name) => [`GET /v1/${name}`, {}] as const),
  ['GET /metrics', {}],
];

const bodies = fc.constantFrom(...BODIES).chain(([route, body]) =>
  fc
    .record({
      changes: fc.dictionary(fc.constantFrom(...Object.keys(body), 'x', '__proto__'), odd, { maxKeys: 2 }),
      option: fc.option(fc.tuple(fc.constantFrom(...Object.keys(DEFAULT_OPTIONS), 'ttl', 'bridge'), odd)),
      cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(20)),
      isBare: fc.boolean(),
      value: odd,
    })
    .map(({ changes, option, cut, isBare, value }) => {
      const changed: Record<string, unknown> = { ...body, ...changes };
      if (option && 'options' in body) changed.options = { ...DEFAULT_OPTIONS, [option[0]]: option[1] };
      // The fan of the target stays, and nobody serves addresses.
      if (changed.every === true) delete changed.every;
      if (typeof changed.options === 'object' && changed.options !== null)
        Object.assign(changed.options, { dhcp: false });
      const text = JSON.stringify(isBare && cut > 0 ? value : changed);
      return `${route} HTTP/1.1\r\nhost: fand\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text.slice(0, text.length - cut)}`;
    }),
);
const lines = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'X'),
    fc.constantFrom('/', '/v1/fans', '/../v1', '*', '/v1/__proto__'),
    fc.string({ unit: 'binary' }),
  )
  .map(([method, path, more]) => `${method} ${path} HTTP/1.1\r\nhost: fand\r\n${more}\r\n\r\n`);
const requests = fc.oneof(
  { weight: 6, arbitrary: bodies },
  { weight: 1, arbitrary: lines },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
);

/** Until the answer is there, or enough of a stream; what breaks off is closed by us. */
function say(paths: RunPaths, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(paths.socket).setEncoding('utf8');
    let heard = '';
    const end = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(request)}`)), PATIENCE_MS);
    const enough = () => setTimeout(() => socket.destroy(), ENOUGH_MS);
    socket.on('data', (text: string) => {
      if (heard === '') enough();
      heard += text;
    });
    socket.once('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(end);
      resolve(heard);
    });
    // Half of a request is waited for as long as its sender is there: the end of what we have to say.
    socket.end(request);
  });
}

class Fand {
  readonly paths: RunPaths;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(dir: string) {
    this.paths = runPaths(dir);
    const argv = ['--net', 'sh', '-c', SET_UP, process.execPath, built('daemon/fand.js')];
    const env = { ...process.env, UFAN_RUN_DIR: dir, UFAN_LOG_LEVEL: 'info', UFAN_WORKERS: '1' };
    this.#child = spawn('unshare', argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream!.on('data', (bytes: Buffer) => {
        this.#output += bytes;
      });
    }
  }

  static async start(): Promise<Fand> {
    const fand = new Fand(mkdtempSync(join(tmpdir(), 'ufan-fuzz-')));
    const deadline = Date.now() + PATIENCE_MS;
    while (!existsSync(fand.paths.socket)) {
      if (Date.now() > deadline || fand.#child.exitCode !== null) throw new Error(`no fand: ${fand.#output}`);
      await sleep(10);
    }
    await new FandClient(fand.paths).up({ ...FAN, options: { ...DEFAULT_OPTIONS, io: 'raw' } });
    return fand;
  }

  /** Lines of its log about errors that nobody foresaw, since the last time. */
  takeUnforeseen(): string[] {
    const found = this.#output.split('\n').filter((line) => line.includes(UNFORESEEN));
    this.#output = '';
    return found;
  }

  get openFiles(): number {
    return readdirSync(`/proc/${this.#child.pid}/fd`).length;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && readFileSync(`/proc/${this.#child.pid}/status`, 'utf8') !== '';
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      await new FandClient(this.paths).down({ every: true }).catch(() => this.#child.kill('SIGKILL'));
      await ended;
    }
    rmSync(this.paths.dir, { recursive: true, force: true });
  }
}

let fand: Fand | undefined;

async function check(seed: number): Promise<void> {
  fand ??= await Fand.start();
  const { paths } = fand;
  const before = fand.openFiles;
  const some = fc.sample(requests, { seed, numRuns: CASES });
  const unanswered = BODIES.length;
  for (let at = 0; at < some.length; at += unanswered) {
    await Promise.all(some.slice(at, at + unanswered).map((request) => say(paths, request)));
    const unforeseen = fand.takeUnforeseen();
    if (unforeseen.length > 0) {
      throw new Error(`${unforeseen.join('\n')}\nfor one of:\n${some.slice(at, at + unanswered).join('\n')}`);
    }
  }
  expect(fand.isAlive).toBe(true);
  const fans = await new FandClient(paths).fans();
  expect(fans.map(({ overlay, state }) => [overlay, state])).toContainEqual([FAN.overlay, 'up']);
  const deadline = Date.now() + PATIENCE_MS;
  while (fand.openFiles > before && Date.now() < deadline) await sleep(20);
  expect(fand.openFiles).toBeLessThanOrEqual(before);
}

export const control: Target = {
  name: 'control',
  check,
  close: () => fand?.stop(),
};
