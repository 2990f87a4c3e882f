/**
 * The far ends of a bridge's ports: the eth0 of a container, in its own network namespace, as far as it can be found
 * by a name (ip-netns(8)) or a process. Reads only.
 */
import { type Link, parseLinks } from './links.js';
import { ipJson, run } from './run.js';

export interface FarEnd {
  /** The port on our bridge. */
  readonly port: string;
  /** Its name in its own namespace. */
  readonly device: string;
  /** "eth0 of c1-1", "eth0 in the namespace of process 812" */
  readonly label: string;
  /** What runs a command in its namespace: "ip netns exec c1-1". */
  readonly enter: string;
  /** Bytes. */
  readonly mtu: number;
  readonly hardwareAddress: string;
  /** A process in its namespace, where the namespace has no name. */
  readonly pid?: number;
}

interface NamedRow {
  name?: string;
  id?: number;
}

interface Place {
  /** For nsenter. */
  readonly file: string;
  readonly label: string;
  readonly enter: string;
  readonly pid?: number;
}

/** Ends whose namespace can't be found, or left meanwhile, are not among them. */
export async function readFarEnds(ports: readonly Link[]): Promise<FarEnd[]> {
  const wanted = new Set(ports.map((port) => port.peerNetnsId).filter((id) => id >= 0));
  if (wanted.size === 0) return [];
  const places = new Map([...(await placesByProcess()), ...(await placesByName())]);
  const ends = [...wanted].map(async (id) => {
    const place = places.get(id);
    return place
      ? endsAt(
          place,
          ports.filter((port) => port.peerNetnsId === id),
        )
      : [];
  });
  return (await Promise.all(ends)).flat();
}

async function endsAt(place: Place, ports: readonly Link[]): Promise<FarEnd[]> {
  const links = await run('nsenter', [`--net=${place.file}`, 'ip', '-json', '-details', 'link', 'show']).then(
    (text) => parseLinks(JSON.parse(text) as object[]),
    () => [],
  );
  return ports.flatMap(({ name, peerIndex }) => {
    const link = links.find(({ index }) => index === peerIndex);
    if (!link) return [];
    const { mtu, hardwareAddress } = link;
    const { label, enter, pid } = place;
    const device = link.name;
    const end = { port: name, device, label: `${device} ${label}`, enter, mtu, hardwareAddress };
    return [pid === undefined ? end : { ...end, pid }];
  });
}

async function placesByName(): Promise<[number, Place][]> {
  const rows = await ipJson<NamedRow>(['netns', 'list']).catch(() => []);
  return rows
    .filter(({ id }) => id !== undefined)
    .map(({ name = '', id = -1 }) => [
      id,
      { file: `/run/netns/${name}`, label: `of ${name}`, enter: `ip netns exec ${name}` },
    ]);
}

/** A namespace that no process is in is not listed, nor is one that util-linux is too old or too unprivileged to see. */
async function placesByProcess(): Promise<[number, Place][]> {
  const text = await run('lsns', ['-t', 'net', '-n', '-r', '-o', 'NETNSID,PID']).catch(() => '');
  return text.split('\n').flatMap((line): [number, Place][] => {
    const [, id, pid] = /^(\d+) (\d+)$/.exec(line) ?? [];
    if (id === undefined) return [];
    const enter = `nsenter --net=/proc/${pid}/ns/net`;
    const label = `in the namespace of process ${pid}`;
    return [[Number(id), { file: `/proc/${pid}/ns/net`, label, enter, pid: Number(pid) }]];
  });
}
