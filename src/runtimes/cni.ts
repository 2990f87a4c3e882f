/**
 * CNI on a fan, for kubelet, containerd, CRI-O and Nomad: a list of the standard plugins `bridge`, `host-local` and, where
 * it is there, `portmap`, in /etc/cni/net.d. Gateway and masquerading are left to the fan, whose bridge stays when the
 * last container goes. Its name makes it the first of the directory, which those programs take.
 */
import { access, readdir, rm } from 'node:fs/promises';
import { formatAddress } from '../addr/ipv4-address.js';
import { formatPrefix, parsePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { readText } from '../host/text-file.js';
import { editFile, undoEdit } from './config-edit.js';
import type { Entry, Runtime, RuntimeFan, Setup } from './runtime.js';

const configDir = (): string => process.env.UFAN_CNI_DIR || '/etc/cni/net.d';
/** Where host-local keeps what it gave, a directory a network; its own default. */
const dataDir = (): string => process.env.UFAN_CNI_DATA || DATA_DIR;
const DATA_DIR = '/var/lib/cni/networks';
/** Where plugins are looked for: upstream's place, and Debian's. */
const PLUGIN_DIRS = ['/opt/cni/bin', '/usr/lib/cni'];
/** What podman 4 and containerd 1.6 read; see the specification of CNI 1.0. */
const VERSION = '1.0.0';

export const cni: Runtime = {
  name: 'cni',
  title: 'CNI',
  ownsRange: true,
  isSingle: false,
  restarts: false,
  requirePresent: () => requirePlugins('CNI'),
  isSetUp: isWritten,
  enable: (fan, range, _, backups) =>
    writeList(fan, range!, { prefix: '10', name: `${fan.bridge}-cni` }, backups),
  disable: removeList,
};

/** Throws FanError unsupported, with the package, where a plugin is missing. */
export async function requirePlugins(title: string): Promise<void> {
  for (const plugin of ['bridge', 'host-local']) {
    if (await hasPlugin(plugin)) continue;
    throw new FanError(
      'unsupported',
      `${title} needs the CNI plugin ${plugin} in ${pluginDirs().join(' or ')}: ` +
        'apt-get install containernetworking-plugins',
    );
  }
}

/** A file for `fan` that gives addresses of `range`: `prefix` orders it among others, `name` is the network's. */
export async function writeList(
  fan: RuntimeFan,
  range: string,
  { prefix, name }: { prefix: string; name: string },
  backups: string,
): Promise<Setup> {
  const path = `${configDir()}/${prefix}-${name}.conflist`;
  if ((await readText(path)) !== undefined) {
    throw new FanError('in-use', `${path} is there already: move it away first`);
  }
  const list = JSON.stringify(listOf(fan, range, name, await hasPlugin('portmap')), undefined, 2);
  return { edits: [await editFile(path, `${backups}/${name}`, () => `${list}\n`)], notes: [] };
}

export async function isWritten({ edits }: Entry): Promise<boolean> {
  const texts = await Promise.all(edits.map(({ path }) => readText(path)));
  return texts.length > 0 && texts.every((text) => text !== undefined);
}

/**
 * What somebody changed in it goes as well: all of the file is the fan's. Throws FanError in-use, with their addresses,
 * while containers have any of it: the plugins need the file to take them off.
 */
export async function removeList({ edits }: Entry): Promise<readonly string[]> {
  for (const edit of edits) {
    const given = `${dataDir()}/${networkOf(edit.path)}`;
    const addresses = (await readdir(given).catch(() => [])).filter((name) => /^[\d.]+$/.test(name));
    if (addresses.length > 0) {
      const held = addresses.join(', ');
      throw new FanError('in-use', `${edit.path} is in use by containers with ${held}: remove these first`);
    }
    await undoEdit(edit, () => undefined);
    await rm(given, { recursive: true, force: true });
  }
  return [];
}

/** Of "/etc/cni/net.d/10-NAME.conflist". */
const networkOf = (path: string): string => /\/\d+-([^/]*)\.conflist$/.exec(path)?.[1] ?? '';

function listOf(fan: RuntimeFan, range: string, name: string, hasPortmap: boolean): object {
  const { base, length } = parsePrefix(range);
  const [first, last] = [base, base + 2 ** (32 - length) - 1];
  const sliceEnd = fan.slice.base + 2 ** (32 - fan.slice.length) - 1;
  const addresses = {
    subnet: formatPrefix(fan.slice),
    // Neither the slice's own address and the gateway, nor its broadcast.
    rangeStart: formatAddress(first === fan.slice.base ? first + 2 : first),
    rangeEnd: formatAddress(last === sliceEnd ? last - 1 : last),
    gateway: fan.gateway,
  };
  const dir = dataDir();
  const ipam = {
    type: 'host-local',
    ...(dir !== DATA_DIR && { dataDir: dir }),
    ranges: [[addresses]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: fan.bridge, isGateway: false, ipMasq: false, mtu: fan.mtu, ipam };
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  return { cniVersion: VERSION, name, plugins: [bridge, ...(hasPortmap ? [portmap] : [])] };
}

const pluginDirs = (): readonly string[] => process.env.UFAN_CNI_PLUGINS?.split(':') ?? PLUGIN_DIRS;

async function hasPlugin(name: string): Promise<boolean> {
  for (const dir of pluginDirs()) {
    const isThere = await access(`${dir}/${name}`).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
  }
  return false;
}
