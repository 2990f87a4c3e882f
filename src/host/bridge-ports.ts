/**
 * What is plugged into a bridge: its ports, whose they are, and how one that lost its bridge is plugged in again.
 */
import { readFile } from 'node:fs/promises';
import { readFarEnds } from './far-ends.js';
import { type Link, OWN_ALIAS, readLinks } from './links.js';
import { run } from './run.js';

/** Enough to know a port again: a name may be another device's by then, an index too after a boot. */
export type Port = Pick<Link, 'name' | 'index' | 'hardwareAddress'>;

/** The control groups of a container's processes tell which it is: of Docker, podman and LXC. */
const CONTAINERS = [
  [/\bdocker[-/]([0-9a-f]{12})/, 'Docker container'],
  [/\blibpod-([0-9a-f]{12})/, 'podman container'],
  [/\blxc(?:\.payload)?[./]([\w-]+)/, 'LXC container'],
] as const;

/** Without the tunnel of a layer-2 fan, which is ours. */
export async function readPorts(bridge: string): Promise<Link[]> {
  return (await readLinks()).filter(({ master, alias }) => master === bridge && alias !== OWN_ALIAS);
}

/** Each port with what is behind it, as far as it can be found: "c1 (eth0 of c1-1)". */
export async function describePorts(ports: readonly Link[]): Promise<string[]> {
  const ends = await readFarEnds(ports);
  return Promise.all(
    ports.map(async ({ name }) => {
      const end = ends.find(({ port }) => port === name);
      if (!end) return name;
      return `${name} (${end.pid === undefined ? end.label : await ownerOf(end.pid)})`;
    }),
  );
}

/** Plugs those of `ports` in that are still there and on no bridge; returns their names. */
export async function plugIn(ports: readonly Port[], bridge: string): Promise<string[]> {
  const links = await readLinks();
  const plugged: string[] = [];
  for (const { name, index, hardwareAddress } of ports) {
    const link = links.find((one) => one.name === name);
    const isSame = link?.index === index && link.hardwareAddress === hardwareAddress;
    if (!isSame || link.master !== '') continue;
    await run('ip', ['link', 'set', 'dev', name, 'master', bridge]);
    plugged.push(name);
  }
  return plugged;
}

async function ownerOf(pid: number): Promise<string> {
  const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  const groups = await read('cgroup');
  const container = CONTAINERS.map(([pattern, kind]) => {
    const id = pattern.exec(groups)?.[1];
    return id === undefined ? undefined : `${kind} ${id}`;
  }).find((found) => found !== undefined);
  const command = (await read('comm')).trim();
  return [container, `process ${pid}${command === '' ? '' : ` ${command}`}`].filter(Boolean).join(', ');
}
