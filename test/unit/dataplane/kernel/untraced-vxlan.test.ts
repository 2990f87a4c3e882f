/** Of a fan over VXLAN, whose outer packets are all UDP: which flows a filter on ports leaves to the kernel's programs. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { type Direction, UntracedFlows } from '../../../../src/dataplane/kernel/untraced-flows.js';
import { arp, frame, inVxlan } from '../frames.js';
import { packet } from '../packets.js';
import { decap, encap, table, traced } from '../tracing/vxlan.js';

const out = frame(packet('250.0.28.2', '250.0.27.2', { protocol: 1 }));
const back = frame(packet('250.0.27.2', '250.0.28.2', { protocol: 1 }));

it.each<[string, Direction, number]>([
  ['udp port 7', 'encap', 1],
  ['udp port 7', 'decap', 1],
  ['host 250.0.27.9', 'encap', 1],
  ['icmp', 'encap', 0],
  ['icmp', 'decap', 0],
  ['udp port 8472', 'encap', 0],
  ['host 172.30.0.27', 'decap', 0],
])('%s, %s: %i flow', (text, direction, flows) => {
  const output = execFileSync('tcpdump', ['-ddd', '-y', 'RAW', text], { encoding: 'utf8' });
  const { tracer } = traced({ program: output.trim().split(/\s+/).slice(1).map(Number) });
  const rx =
    direction === 'encap'
      ? encap(tracer, [out, arp('250.0.28.2', '250.0.27.2')])
      : decap(tracer, [inVxlan(back), inVxlan(arp('250.0.27.2', '250.0.28.2'))]);
  const told: number[][] = [];
  const untraced = new UntracedFlows(direction);
  untraced.begin(1);
  untraced.release(table.fans[0]!, { addFlow: (words) => told.push([...words]) }, tracer, rx, 1000);
  expect(told).toHaveLength(flows);
});
