/**
 * The addresses that the dnsmasq of each fan has given away, from its lease file: "EXPIRY MAC ADDRESS NAME CLIENT-ID" a
 * line, with "*" for what is not known. It needs no fand.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { errorText, FanError } from '../base/error.js';
import { readPlainFile } from '../base/own-files.js';
import { type DhcpData, leaseFileOf } from '../host/steps/dhcp-step.js';
import type { RunPaths } from './protocol.js';
import { StateStore } from './state-store.js';

/** One lease as `fanctl leases --json` prints it. */
export interface Lease {
  bridge: string;
  address: string;
  hardwareAddress: string;
  /** As the container gave it; empty where it gave none. */
  name: string;
  /** ISO 8601; null where the lease never ends. */
  expires: string | null;
}

/** dnsmasq is told of 65,536 leases at most; a line has some 100 bytes. */
const MOST_BYTES = 32 << 20;

/** Of every fan that serves DHCP, by their addresses. Throws FanError daemon where a file can't be read. */
export async function readLeases(paths: RunPaths): Promise<Lease[]> {
  const { fans } = await new StateStore(paths.state).load();
  const leases: Lease[] = [];
  for (const { view, steps } of fans) {
    const step = steps.find(({ kind }) => kind === 'dhcp');
    if (!step) continue;
    const path = leaseFileOf(step.data as unknown as DhcpData);
    const given = parseLeases(await readText(path), view.bridge);
    leases.push(...given.sort((a, b) => parseAddress(a.address) - parseAddress(b.address)));
  }
  return leases;
}

/** The text of a lease file; what is no IPv4 lease is left out. */
export function parseLeases(text: string, bridge: string): Lease[] {
  return text.split('\n').flatMap((line): Lease[] => {
    const [, expiry, hardwareAddress, address, name] =
      /^(\d+) ([0-9a-f:-]+) (\d+\.\d+\.\d+\.\d+) (\S+) /.exec(line) ?? [];
    if (hardwareAddress === undefined || address === undefined) return [];
    const seconds = Number(expiry);
    const expires = seconds === 0 ? null : new Date(seconds * 1000).toISOString();
    return [{ bridge, address, hardwareAddress, name: name === '*' ? '' : (name ?? ''), expires }];
  });
}

async function readText(path: string): Promise<string> {
  try {
    return (await readPlainFile(path, MOST_BYTES)) ?? '';
  } catch (cause) {
    if (cause instanceof FanError) throw cause;
    throw new FanError('daemon', `cannot read ${path}: ${errorText(cause)}`, { cause });
  }
}
