/**
 * Relays: what lets the kernel merge the segments that we had to cut (io/devices/relay-sender.ts). One for each underlay device
 * that bursts are sent by, a veth pair: into one end go frames; behind the other a kernel thread of its own merges what
 * has come meanwhile and hands all of it to the underlay's device.
 *
 * Not a step of `up`: a fan works without, only slower. A fand knows its own by their alias.
 */
import { writeFile } from 'node:fs/promises';
import { FanError } from '../base/error.js';
import { deleteLink, type Link, readLinks, requireLink } from './links.js';
import { run } from './run.js';
import { disableIpv6 } from './sysctl.js';

/**
 * What the alias of a relay begins with, and behind it whose it is: a fand's run directory. Not that of a fan's own
 * devices: relays belong to none. One end bears it, and takes the other along.
 */
const MARK = 'ufan-relay ';
const NAME = /^relay-\d+$/;
/** Frames of an underlay with any MTU pass. */
const MTU = '65535';

/** Makes the relay at an underlay device anew and returns its index. Throws FanError; then there is none. */
export async function makeRelay(device: string, owner: string): Promise<number> {
  const relay = nameAt(requireLink(await readLinks(), device).index);
  await removeRelay(relay, owner);
  try {
    await setUp(relay, device, owner);
    return requireLink(await readLinks(), relay).index;
  } catch (error) {
    await removeRelay(relay, owner);
    throw error;
  }
}

/** Removes every relay of `owner` but those with these indices, also one that an earlier run left. */
export async function removeRelays(owner: string, except: readonly number[] = []): Promise<void> {
  const links = await readLinks();
  for (const link of links) {
    if (!except.includes(link.index) && isOwn(link, links, owner)) await deleteLink(link.name);
  }
}

/** A pair without a mark is one that somebody was killed over. */
function isOwn({ name, alias, kind }: Link, links: readonly Link[], owner: string): boolean {
  if (alias !== '') return alias === MARK + owner;
  return kind === 'veth' && NAME.test(name) && links.some((link) => link.name === outOf(name));
}

export interface RelayView {
  readonly name: string;
  /** What keeps frames from passing it; undefined where nothing does. */
  readonly trouble: string | undefined;
}

/** The relays of `owner` among `links`, as they are. */
export async function examineRelays(owner: string, links: readonly Link[]): Promise<RelayView[]> {
  const relays = links.filter(({ alias }) => alias === MARK + owner);
  return Promise.all(
    relays.map(async ({ name }) => {
      const ends = links.filter((link) => link.name === name || link.name === outOf(name));
      const down = ends.filter(({ flags }) => !flags.includes('UP'));
      const underlay = links.find(({ index }) => nameAt(index) === name);
      if (down.length > 0) return { name, trouble: `${down.map((end) => end.name).join(', ')} down` };
      const leads = underlay !== undefined && (await leadsTo(outOf(name), underlay.name));
      return { name, trouble: leads ? undefined : `no filter of ${outOf(name)} leads on to the underlay` };
    }),
  );
}

interface FilterRow {
  options?: { actions?: { kind: string; to_dev?: string }[] };
}

async function leadsTo(out: string, device: string): Promise<boolean> {
  const rows = JSON.parse(await run('tc', ['-json', 'filter', 'show', 'dev', out, 'ingress'])) as FilterRow[];
  const actions = rows.flatMap(({ options }) => options?.actions ?? []);
  return actions.some(({ kind, to_dev }) => kind === 'mirred' && to_dev === device);
}

/** Of the relay at the device with this index. */
function nameAt(index: number): string {
  return `relay-${index}`;
}

/** The end where frames come out. */
function outOf(relay: string): string {
  return `${relay}-out`;
}

async function setUp(relay: string, device: string, owner: string): Promise<void> {
  const out = outOf(relay);
  const far = ['peer', 'name', out, 'mtu', MTU];
  await run('ip', ['link', 'add', 'name', relay, 'mtu', MTU, 'type', 'veth', ...far]);
  await run('ip', ['link', 'set', 'dev', relay, 'alias', MARK + owner]);
  for (const end of [relay, out]) await disableIpv6(end);
  // A veth merges only what its other end can't send in one piece.
  await run('ethtool', ['-K', relay, 'tso', 'off']);
  await run('ethtool', ['-K', out, 'gro', 'on']);
  await run('tc', ['qdisc', 'add', 'dev', out, 'clsact']);
  // A copy, for that belongs to no socket: of one that does, cutting gives the last segment to the socket, and where the
  // next device merges again it comes first. The original is for another host, and ends here.
  const all = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0'];
  const onward = ['action', 'mirred', 'egress', 'mirror', 'dev', device];
  await run('tc', ['filter', 'add', 'dev', out, 'ingress', ...all, ...onward]);
  // The end that is set up last can send at once; the other drops what is sent until the kernel has looked at it.
  for (const end of [out, relay]) await run('ip', ['link', 'set', 'dev', end, 'arp', 'off', 'up']);
  // In a thread of its own; in the sender's context there would be nothing to merge.
  await writeFile(`/sys/class/net/${out}/threaded`, '1');
}

async function removeRelay(relay: string, owner: string): Promise<void> {
  const links = await readLinks();
  const link = links.find(({ name }) => name === relay);
  if (!link) return;
  if (!isOwn(link, links, owner)) throw new FanError('in-use', `a device ${relay} exists and is not ours`);
  await deleteLink(relay);
}
