/**
 * LXD's own networks of `bridge.mode=fan` on a kernel without the fan patch: a systemd drop-in puts a stand-in for ip(8)
 * (packaging/lxd/ip) first in LXD's PATH, which makes a layer-2 fan of ufan's where LXD asks for a device that only a
 * patched kernel has. The snap of LXD brings its own ip, so this is for LXD as Debian and Ubuntu package it.
 */
import { rm, rmdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { FanError } from '../base/error.js';
import { run, searchPath } from '../host/run.js';
import { readText, replaceFile } from '../host/text-file.js';
import type { Outcome } from './enable.js';
import type { Wishes } from './runtime.js';
import { awaitReady, requireProgram, restartService } from './service.js';

const SNAP = '/snap/lxd/current';
const dropIn = (): string => process.env.UFAN_LXD_DROPIN || '/etc/systemd/system/lxd.service.d/ufan.conf';

/** Throws FanError unsupported, config, step-failed. */
export async function enableNative({ restart }: Wishes): Promise<Outcome> {
  await requireDebianLxd();
  const path = dropIn();
  const text = dropInText();
  if ((await readText(path)) === text)
    return { changed: false, notes: ["LXD's own fan networks are enabled already"] };
  await replaceFile(path, text);
  const notes = await reload(restart);
  return { changed: true, notes: [...notes, 'lxc network create NAME bridge.mode=fan makes one'] };
}

/** Throws FanError in-use, with their names, while LXD has such networks, unless told `force`. */
export async function disableNative({ restart, force }: Wishes): Promise<Outcome> {
  const path = dropIn();
  if ((await readText(path)) === undefined)
    return { changed: false, notes: ["LXD's own fan networks are not enabled"] };
  const names = await fanNetworks();
  if (names.length > 0 && !force) {
    throw new FanError(
      'in-use',
      `LXD's networks ${names.join(', ')} have bridge.mode=fan and would not start again: lxc network delete them first, or say --force`,
    );
  }
  await rm(path, { force: true });
  // One that holds drop-ins of others stays.
  await rmdir(dirname(path)).catch(() => undefined);
  return { changed: true, notes: await reload(restart) };
}

async function requireDebianLxd(): Promise<void> {
  await requireProgram(['lxc'], 'LXD', 'apt-get install lxd');
  if (!(await isThere(SNAP))) return;
  throw new FanError(
    'unsupported',
    'the snap of LXD brings its own ip, which nobody can stand in for: a fan of type vxlan with layer2, and fanatic ' +
      'enable-lxd for it, give its containers the same',
  );
}

function dropInText(): string {
  const { resolve } = createRequire(import.meta.url);
  return `# By fanatic enable-lxd --native: a stand-in for ip makes LXD's networks of bridge.mode=fan.
[Unit]
After=fand.service
[Service]
Environment=UFAN_FANCTL=${resolve('#fanctl')}
Environment=PATH=${dirname(resolve('#lxd-ip'))}:${searchPath()}
`;
}

async function reload(restart: boolean): Promise<string[]> {
  if (await isThere('/run/systemd/system')) await run('systemctl', ['daemon-reload']);
  if (!restart) return ['LXD has it after its next restart'];
  // Its containers go on meanwhile.
  await restartService('lxd');
  await awaitReady('LXD', () => run('lxc', ['network', 'list', '--format', 'json']));
  return [];
}

async function fanNetworks(): Promise<string[]> {
  const networks = JSON.parse(await run('lxc', ['network', 'list', '--format', 'json'])) as {
    name: string;
    config?: Readonly<Record<string, string>>;
  }[];
  return networks.filter(({ config }) => config?.['bridge.mode'] === 'fan').map(({ name }) => name);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
