/**
 * LXD and Incus on a fan: a profile of the bridge's name with one bridged NIC, for `lxc launch IMAGE --profile default
 * --profile fan-250-0-28`. Addresses come by the fan's DHCP. Their own networks and profiles stay as they are.
 */
import { FanError } from '../base/error.js';
import { run } from '../host/run.js';
import type { Entry, Runtime, RuntimeFan, Setup } from './runtime.js';
import { requireProgram } from './service.js';

/** `client` is its command: the two differ in nothing else here. */
function profiled(name: string, title: string, client: string, install: string): Runtime {
  const ask = (...words: string[]): Promise<string> => run(client, ['profile', ...words]);
  const names = async (): Promise<string[]> =>
    (JSON.parse(await ask('list', '--format', 'json')) as { name: string }[]).map((profile) => profile.name);
  return {
    name,
    title,
    ownsRange: false,
    isSingle: false,
    restarts: false,
    requirePresent: () => requireProgram([client], title, install),
    isSetUp: async ({ bridge }) => (await names()).includes(bridge),
    enable: async (fan) => {
      if ((await names()).includes(fan.bridge)) {
        throw new FanError(
          'in-use',
          `${title} has a profile ${fan.bridge} already: ${client} profile delete it first`,
        );
      }
      return makeProfile(ask, fan, client);
    },
    disable: async (entry) => {
      if (!(await names()).includes(entry.bridge)) return [];
      return dropProfile(ask, entry, title);
    },
  };
}

type Ask = (...words: string[]) => Promise<string>;

async function makeProfile(ask: Ask, { bridge, mtu }: RuntimeFan, client: string): Promise<Setup> {
  await ask('create', bridge);
  try {
    const nic = ['nictype=bridged', `parent=${bridge}`, `mtu=${mtu}`, 'name=eth0'];
    await ask('device', 'add', bridge, 'eth0', 'nic', ...nic);
  } catch (error) {
    await ask('delete', bridge);
    throw error;
  }
  return {
    edits: [],
    notes: [`${client} launch IMAGE --profile default --profile ${bridge} puts one on it`],
  };
}

/** Throws FanError in-use, with their names, while containers have the profile. */
async function dropProfile(ask: Ask, { bridge }: Entry, title: string): Promise<readonly string[]> {
  const used = /^used_by:\n((?:- .*\n?)*)/m.exec(await ask('show', bridge))?.[1] ?? '';
  const users = [...used.matchAll(/\/instances\/(\S+)/g)].map((match) => match[1]!);
  if (users.length === 0) {
    await ask('delete', bridge);
    return [];
  }
  throw new FanError(
    'in-use',
    `${title}'s profile ${bridge} is in use by ${users.join(', ')}: delete these, or take the profile from them`,
  );
}

export const lxd = profiled('lxd', 'LXD', 'lxc', 'apt-get install lxd, or snap install lxd');
export const incus = profiled('incus', 'Incus', 'incus', 'apt-get install incus');
