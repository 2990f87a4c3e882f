/** A fan over WireGuard, as the documentation advises where the network between the hosts is not one's own. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import type { FanView } from '../../../src/control/protocol.js';

const PORT = '51820';
let lab: Lab;
let fans: FanView[];

/** wireguard-go's control sockets share a directory for all namespaces of the machine, so the name is the lab's own. */
const deviceOf = ({ index }: Host): string => `wg-${lab.name.split('-').at(-1)}-${index}`;
const insideOf = ({ index }: Host): string => `10.9.0.${29 - index}`;

async function startWireGuard(host: Host): Promise<string> {
  const device = deviceOf(host);
  const daemon = host.spawn(['wireguard-go', '-f', device], { env: { LOG_LEVEL: 'verbose' } });
  await daemon.prints(/UAPI listener started/);
  const key = join(host.dir, 'key');
  await host.exec(['sh', '-c', `umask 077; wg genkey >${key}`]);
  await host.exec(['wg', 'set', device, 'private-key', key, 'listen-port', PORT]);
  await host.ip(`address add ${insideOf(host)}/16 dev ${device}`, `link set ${device} up`);
  return (await host.exec(['wg', 'show', device, 'public-key'])).stdout.trim();
}

beforeAll(async () => {
  lab = await createLab();
  const keys = await Promise.all(lab.hosts.map(startWireGuard));
  await Promise.all(
    lab.hosts.map((host, i) => {
      const other = lab.host(2 - i);
      const to = ['allowed-ips', `${insideOf(other)}/32`, 'endpoint', `${other.address}:${PORT}`];
      return host.exec(['wg', 'set', deviceOf(host), 'peer', keys[1 - i]!, ...to]);
    }),
  );
  const raised = await Promise.all(
    lab.hosts.map((host) => raiseFan(host, ['250.0.0.0/8', `${deviceOf(host)}/16`])),
  );
  fans = raised.map(({ view }) => view);
});
afterAll(() => lab?.remove());

describe('with a device of WireGuard as underlay', () => {
  it('the fan takes its MTU, and io raw', () => {
    expect(fans).toMatchObject([
      { slice: '250.0.28.0/24', mtu: 1400, io: 'raw' },
      { slice: '250.0.27.0/24', mtu: 1400, io: 'raw' },
    ]);
  });

  it('packets of the full MTU pass, and on the wire there is WireGuard only', async () => {
    const file = join(lab.dir, 'wire.pcap');
    const capture = await Capture.start(lab.host(1), 'eth0', file, 'ip');
    const { received, text } = await ping(lab.host(1).container(1), '250.0.27.2', {
      count: 2,
      size: 1372,
      df: true,
    });
    await capture.stop();
    expect(received, text).toBe(2);
    expect(new Set((await fields(file, ['ip.proto', 'udp.port'])).flat())).toEqual(
      new Set(['17', `${PORT},${PORT}`]),
    );
  });
});
