/**
 * A trial of a fan on this host: two containers of a runtime, made for it and removed after it, have addresses of the
 * slice, ping each other and pass a line by TCP.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../addr/ipv4-address.js';
import { contains, formatPrefix } from '../addr/prefix.js';
import { errorText, FanError } from '../base/error.js';
import { run } from '../host/run.js';
import type { RuntimeFan } from './runtime.js';
import { buildTrialImage } from './trial-image.js';

/** What a runtime does for a trial. */
export interface TrialEngine {
  readonly form: 'plain' | 'lxd';
  addImage(tar: string, image: string): Promise<unknown>;
  removeImage(image: string): Promise<unknown>;
  start(image: string, name: string): Promise<unknown>;
  /** Empty while it has none. */
  addressOf(name: string): Promise<string>;
  exec(name: string, words: readonly string[]): Promise<string>;
  remove(name: string): Promise<unknown>;
}

const PORT = '9000';
const PATIENCE_MS = 30_000;

/** `tell` gets a line for each thing that works; `peer`, an address of another host's, is pinged as well. */
export async function tryFan(
  engine: TrialEngine,
  fan: RuntimeFan,
  peer: string | undefined,
  tell: (line: string) => void,
): Promise<void> {
  const tag = `ufan-${randomBytes(3).toString('hex')}`;
  const [first, second] = [`${tag}-a`, `${tag}-b`];
  const dir = await mkdtemp(`${tmpdir()}/ufan-trial-`);
  try {
    await engine.addImage(await buildTrialImage(dir, engine.form), tag);
    for (const name of [first, second]) await engine.start(tag, name);
    const here = await awaitAddress(engine, first, fan);
    const there = await awaitAddress(engine, second, fan);
    tell(`two containers are on ${fan.bridge}: ${here} and ${there}`);
    for (const to of [there, fan.gateway, ...(peer === undefined ? [] : [peer])]) {
      await pingFrom(engine, first, to);
      tell(`ping from ${here} to ${to}: 3 of 3`);
    }
    await sendLine(engine, first, second, there);
    tell(`TCP from ${here} to ${there}: a line came through`);
  } finally {
    for (const name of [first, second]) await engine.remove(name).catch(() => undefined);
    await engine.removeImage(tag).catch(() => undefined);
    await rm(dir, { recursive: true, force: true });
  }
}

async function awaitAddress(
  engine: TrialEngine,
  name: string,
  { slice, bridge }: RuntimeFan,
): Promise<string> {
  const address = await patiently(
    () => engine.addressOf(name),
    (said) => said !== '',
  );
  if (address === '') throw new FanError('step-failed', `${name} got no address: fanctl doctor looks why`);
  if (contains(slice, parseAddress(address))) return address;
  throw new FanError(
    'step-failed',
    `${name} has ${address}, which is not of ${bridge}'s ${formatPrefix(slice)}: enable the runtime for it first`,
  );
}

async function pingFrom(engine: TrialEngine, name: string, to: string): Promise<void> {
  const said = await engine.exec(name, ['ping', '-c', '3', '-W', '5', to]).catch(errorText);
  if (said.includes('3 packets received')) return;
  const last = said.trim().split('\n').at(-1);
  throw new FanError('step-failed', `ping from ${name} to ${to} fails (${last}): fanctl doctor looks why`);
}

async function sendLine(engine: TrialEngine, from: string, to: string, address: string): Promise<void> {
  const served = engine.exec(to, ['sh', '-c', `echo over the fan | nc -l -p ${PORT} -w 30`]).catch(errorText);
  const ask = () => engine.exec(from, ['sh', '-c', `nc -w 5 ${address} ${PORT} </dev/null`]).catch(() => '');
  const got = await patiently(ask, (said) => said.includes('over the fan'));
  if (!got.includes('over the fan')) {
    throw new FanError('step-failed', `TCP from ${from} to ${address} fails: fanctl doctor looks why`);
  }
  await served;
}

async function patiently(ask: () => Promise<string>, isEnough: (said: string) => boolean): Promise<string> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const said = await ask();
    if (isEnough(said) || Date.now() > deadline) return said;
    await sleep(100);
  }
}

/** Docker and podman say the same words; `network` is what to give `run`. */
export function dockerLike(client: 'docker' | 'podman', network: string | undefined): TrialEngine {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  const on = network === undefined ? [] : ['--network', network];
  return {
    form: 'plain',
    addImage: (tar, image) => run(client, ['import', tar, image]),
    removeImage: (image) => run(client, ['rmi', image]),
    start: (image, name) => run(client, ['run', '-d', '--name', name, ...on, image, 'sleep', '600']),
    addressOf: async (name) => (await run(client, ['inspect', '-f', format, name])).trim(),
    exec: (name, words) => run(client, ['exec', name, ...words]),
    // podman would wait for its end.
    remove: (name) => run(client, ['rm', '-f', ...(client === 'podman' ? ['-t', '0'] : []), name]),
  };
}

/** LXD and Incus; `profile` is the one that enable made. */
export function lxdLike(client: 'lxc' | 'incus', profile: string): TrialEngine {
  return {
    form: 'lxd',
    addImage: (tar, image) => run(client, ['image', 'import', tar, '--alias', image]),
    removeImage: (image) => run(client, ['image', 'delete', image]),
    start: (image, name) =>
      run(client, ['launch', image, name, '--profile', 'default', '--profile', profile]),
    addressOf: async (name) => {
      const said = await run(client, ['list', name, '--format', 'csv', '--columns', '4']);
      return /[\d.]+(?= \(eth0\))/.exec(said)?.[0] ?? '';
    },
    exec: (name, words) => run(client, ['exec', name, '--', ...words]),
    remove: (name) => run(client, ['delete', '--force', name]),
  };
}
