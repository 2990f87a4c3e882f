/**
 * Docker on a fan, in one of two ways: its default bridge is the fan's (daemon.json, and a restart), or the fan's bridge
 * is a network of its own in Docker (--network NAME), beside whatever the default one is.
 *
 * Docker masquerades neither: the fan does, and leaves what goes to the overlay alone. iptables may be on or off.
 */

import { formatPrefix, parsePrefix, samePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { readRoutes } from '../host/routes.js';
import { run } from '../host/run.js';
import { readText } from '../host/text-file.js';
import { editFile, undoEdit } from './config-edit.js';
import { type JsonObject, parseObject, removeMember, setMembers } from './json-members.js';
import type { Entry, Runtime, RuntimeFan, Setup, Wishes } from './runtime.js';
import { awaitReady, requireProgram, restartService } from './service.js';

const configPath = (): string => process.env.UFAN_DOCKER_CONFIG || '/etc/docker/daemon.json';
const SERVICE = 'docker';

export const docker: Runtime = {
  name: 'docker',
  title: 'Docker',
  ownsRange: true,
  isSingle: true,
  restarts: true,
  requirePresent: () => requireProgram(['docker'], 'Docker', 'apt-get install docker.io'),
  isSetUp: async (entry) => {
    if (entry.network !== undefined) return (await readNetworks()).includes(entry.network);
    const path = configPath();
    return parseObject((await readText(path)) ?? '', path).bridge === entry.bridge;
  },
  enable: (fan, range, wishes, backups) =>
    wishes.network === undefined
      ? useAsDefault(fan, range!, wishes, backups)
      : createNetwork(fan, range!, wishes.network, wishes.configOnly ?? false),
  disable: (entry, wishes) =>
    entry.network === undefined ? dropDefault(entry, wishes) : removeNetwork(entry.network),
};

async function useAsDefault(fan: RuntimeFan, range: string, wishes: Wishes, backups: string): Promise<Setup> {
  const path = configPath();
  if (wishes.configOnly) throw new FanError('usage', '--config-only is of a network: say --network NAME too');
  const members = membersOf(fan, range, await filtersDirectRouting());
  const before = parseObject((await readText(path)) ?? '', path);
  if (before.bip !== undefined) {
    throw new FanError(
      'in-use',
      `${path} has "bip", which Docker takes beside no bridge of another's: take it out first`,
    );
  }
  if (wishes.restart && !wishes.force) await requireIdle('enable');
  const edit = await editFile(path, `${backups}/docker-daemon.json`, (text = '') =>
    setMembers(text, members),
  );
  const undo = () => undoEdit(edit, (text, was) => withoutOurs(text, was, members, path));
  await restartOr(wishes, undo);
  return { edits: [edit], keys: members, notes: wishes.restart ? [] : [RESTART_NOTE] };
}

async function dropDefault(entry: Entry, wishes: Wishes): Promise<readonly string[]> {
  if (wishes.restart && !wishes.force) await requireIdle('disable');
  const path = configPath();
  for (const edit of entry.edits) {
    await undoEdit(edit, (text, was) => withoutOurs(text, was, entry.keys ?? {}, path));
  }
  await restartOr(wishes, async () => {});
  return wishes.restart ? [] : [RESTART_NOTE];
}

const RESTART_NOTE = 'Docker takes it with its next restart';

function membersOf(fan: RuntimeFan, range: string, isFiltering: boolean): JsonObject {
  const members = { bridge: fan.bridge, 'fixed-cidr': range, mtu: fan.mtu, 'ip-masq': false };
  return isFiltering ? { ...members, 'allow-direct-routing': true } : members;
}

/**
 * Whether this Docker drops what comes to a container's address by another device than its bridge, as all do since 28, and
 * can be told not to, since 28.2. Of one that does not answer nothing is known: a key that it doesn't know keeps it down.
 */
async function filtersDirectRouting(): Promise<boolean> {
  return canAllowDirectRouting(await ask('version', '{{.Server.Version}}').catch(() => ''));
}

/** `version` as Docker prints it, "28.2.2"; false for what is none. */
export function canAllowDirectRouting(version: string): boolean {
  const [major = 0, minor = 0] = /^(\d+)\.(\d+)\./.exec(version)?.slice(1).map(Number) ?? [];
  return major > 28 || (major === 28 && minor >= 2);
}

/** The text with the members that are still as we set them as they were before; undefined where nothing is left. */
function withoutOurs(
  text: string,
  was: string | undefined,
  ours: JsonObject,
  path: string,
): string | undefined {
  const now = parseObject(text, path);
  const before = parseObject(was ?? '', path);
  let left = text;
  for (const [key, value] of Object.entries(ours)) {
    if (now[key] !== value) continue;
    left = before[key] === undefined ? removeMember(left, key) : setMembers(left, { [key]: before[key] });
  }
  return was === undefined && Object.keys(parseObject(left, path)).length === 0 ? undefined : left;
}

/** Where Docker doesn't come back, `undo` is done and it is restarted as it was. */
async function restartOr(wishes: Wishes, undo: () => Promise<void>): Promise<void> {
  if (!wishes.restart) return;
  try {
    await restartService(SERVICE);
    await awaitReady('Docker', () => ask('version', '{{.Server.Version}}'));
  } catch (error) {
    await undo();
    await restartService(SERVICE).catch(() => undefined);
    throw error;
  }
}

/** Throws FanError in-use, which names them, where containers run that a restart stops or cuts off. */
async function requireIdle(verb: string): Promise<void> {
  const live = await ask('info', '{{.LiveRestoreEnabled}}').catch(() => undefined);
  // Nothing runs under a daemon that doesn't answer.
  if (live === undefined) return;
  // With live-restore the others go on.
  const concerned = live.trim() === 'true' ? ['--filter', 'network=bridge'] : [];
  const running = (await run('docker', ['ps', ...concerned, '--format', '{{.Names}}']))
    .split('\n')
    .filter(Boolean);
  if (running.length === 0) return;
  throw new FanError(
    'in-use',
    `Docker must restart, and ${running.join(', ')} would lose the network: stop these containers first; ` +
      `${verb}-docker --force restarts anyway, --no-restart leaves it to you`,
  );
}

/**
 * With `configOnly` it is what a network of a swarm takes from this host: `docker network create --scope swarm --config-from
 * NAME …` on a manager makes that one, of the same driver on every host, without VXLAN.
 */
async function createNetwork(
  fan: RuntimeFan,
  range: string,
  name: string,
  configOnly: boolean,
): Promise<Setup> {
  if ((await readNetworks()).includes(name)) {
    throw new FanError('in-use', `Docker has a network ${name} already: say another name`);
  }
  const options = [
    `com.docker.network.bridge.name=${fan.bridge}`,
    `com.docker.network.driver.mtu=${fan.mtu}`,
    'com.docker.network.bridge.enable_ip_masquerade=false',
    // More exact than for all devices.
    ...((await filtersDirectRouting())
      ? [`com.docker.network.bridge.trusted_host_interfaces=${await deviceOf(fan)}`]
      : []),
  ];
  await run('docker', [
    ...['network', 'create', ...(configOnly ? ['--config-only'] : ['--driver', 'bridge'])],
    ...options.flatMap((option) => ['--opt', option]),
    ...['--subnet', formatPrefix(fan.slice), '--gateway', fan.gateway, '--ip-range', range, name],
  ]);
  return { edits: [], notes: [] };
}

/** By which packets of other hosts come in. */
async function deviceOf({ overlay, bridge }: RuntimeFan): Promise<string> {
  const route = (await readRoutes()).find(({ destination }) => samePrefix(destination, parsePrefix(overlay)));
  if (route) return route.device;
  throw new FanError('not-configured', `${bridge} has no route for ${overlay}: fanctl doctor --fix`);
}

async function removeNetwork(name: string): Promise<readonly string[]> {
  if (!(await readNetworks()).includes(name)) return [`Docker's network ${name} has gone already`];
  try {
    await run('docker', ['network', 'rm', name]);
  } catch (cause) {
    const names = (await ask('network', '{{range .Containers}}{{.Name}} {{end}}', 'inspect', name)).trim();
    if (names === '') throw cause;
    const remedy = 'stop these containers first';
    throw new FanError('in-use', `Docker's network ${name} is in use by ${names}: ${remedy}`, { cause });
  }
  return [];
}

/** Throws FanError step-failed where Docker does not answer. */
async function readNetworks(): Promise<string[]> {
  const text = await run('docker', ['network', 'ls', '--format', '{{.Name}}']);
  return text.split('\n').filter(Boolean);
}

function ask(command: string, format: string, ...words: string[]): Promise<string> {
  return run('docker', [command, ...words, '--format', format]);
}
