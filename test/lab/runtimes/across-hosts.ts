/**
 * What a container that fanatic's runtime made must be able to do: reach one of the other host by ping, nc and iperf3, and
 * the world outside in its host's name, before and after a restart of fand. The machine's own programs are run in its
 * network, so that any image will do.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Host } from '../../../bench/lab/host.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { SETUP_DIR } from '../../../bench/lab/repository.js';
import { PYTHON } from '../fan-lab.js';
import type { GuidedHost } from './guided-host.js';

const BUSYBOX = join(SETUP_DIR, 'busybox/bin/busybox');
/** Tells from which address it was asked. */
const TELL_PEER = `
import socket
server = socket.create_server(('0.0.0.0', 4001))
print('listening', flush=True)
connection, peer = server.accept()
connection.sendall(peer[0].encode())`;

/** The other end: a container of another host, and the address that it has on the fan. */
export interface Far {
  readonly host: Host;
  readonly container: Namespace;
  readonly address: string;
}

/** A command line, up to the program, that runs one in the network of the process that `pid` prints. */
export function inNetworkOf(pid: string): string {
  return `nsenter --net=/proc/$(${pid})/ns/net`;
}

/** `inside`: what stands before a program that shall run in the container. */
export async function worksAcrossHosts(guided: GuidedHost, inside: string, far: Far): Promise<void> {
  await pings(guided, inside, far);
  await passesLine(guided, inside, far);
  await passesBulk(guided, inside, far);
  expect(await sourceOutside(guided, inside, far.host)).toBe(guided.host.address);
  await guided.does('fanctl restart');
  await pings(guided, inside, far);
}

async function pings(guided: GuidedHost, inside: string, { address }: Far): Promise<void> {
  for (const size of [56, 1452, 20_000]) {
    const said = await guided.does(`${inside} ping -n -c 2 -i 0.2 -W 5 -s ${size} ${address}`);
    expect(said).toMatch(/2 (packets )?received, 0% packet loss/);
  }
}

async function passesLine(guided: GuidedHost, inside: string, { container, address }: Far): Promise<void> {
  const listener = container.spawn([BUSYBOX, 'nc', '-l', '-p', '4000']);
  // Until it listens it is refused.
  await guided.does(
    `until echo a line | ${inside} ${BUSYBOX} nc -w 5 ${address} 4000 2>/dev/null; do sleep 0.05; done`,
  );
  await listener.prints(/^a line$/m);
}

async function passesBulk(guided: GuidedHost, inside: string, { container, address }: Far): Promise<void> {
  const server = container.spawn(['iperf3', '--server', '--one-off', '--forceflush']);
  await server.prints(/Server listening/);
  const said = JSON.parse(await guided.does(`${inside} iperf3 --client ${address} --bytes 20M --json`));
  expect(said.end.sum_sent.bytes).toBeGreaterThanOrEqual(20e6);
  // Of when the sender was done: the last of it is on its way.
  expect(said.end.sum_received.bytes).toBeGreaterThan(0);
}

/** The address from which another host sees the container, as it asks that host beside the fan. */
async function sourceOutside(guided: GuidedHost, inside: string, host: Host): Promise<string> {
  const server = host.spawn([PYTHON, '-c', TELL_PEER]);
  try {
    await server.prints(/listening/);
    return await guided.does(`${inside} ${BUSYBOX} nc -w 5 ${host.address} 4001`);
  } finally {
    await server.stop();
  }
}
