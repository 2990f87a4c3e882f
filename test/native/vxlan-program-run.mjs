/**
 * Sends frames through the programs of a fan over VXLAN, in a network namespace of its own that ends with it, its tunnel
 * device a veth pair whose other end stands for the daemon's queue (vxlan-program-wire.py sends and looks).
 * stdin: {encap, decap, flows, at, outgoing, incoming, last}: words of both programs, hosts of the underlay, and frames in
 * hexadecimal, of which the last ends with "the last one"; stdout: {outgoing, incoming, counted, byDevice}: for each frame
 * {at, frame}; byDevice: how many came by the VXLAN device.
 *
 * arguments: addon, objects of encap, decap, and of witness and decap at the underlay's device
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [addon, encapObject, decapObject, witnessObject, directObject] = process.argv.slice(2);
const native = createRequire(import.meta.url)(addon);
const { encap, decap, flows = [], at, outgoing, incoming, last } = JSON.parse(readFileSync(0, 'utf8'));
const setUp = `
link set lo up
link add tap0 index 10 mtu 9000 address 02:fa:00:00:00:01 type veth peer name queue0
link add eth0 index 12 mtu 1600 address 02:00:00:00:00:01 type veth peer name wire0
link add vx0 index 14 type vxlan external local 172.30.0.28 dstport 8472 vnifilter nolearning
link set vx0 mtu 65000 arp off up
link set queue0 mtu 9000 up
link set tap0 up
link set wire0 mtu 1600 up
link set eth0 up
address add 172.30.0.28/16 dev eth0
address add 10.9.9.1/32 dev eth0
`;
writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
execFileSync('ip', ['-batch', '-'], { input: setUp });
// Else the wire sees no checksum of the VXLAN device's.
execFileSync('ethtool', ['-K', 'eth0', 'tx', 'off']);
execFileSync('bridge', ['vni', 'add', 'vni', '16384000', 'dev', 'vx0']);
writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
const NO_MAPS = new Uint32Array(0);
const handles = [
  native.programAttach(readFileSync(encapObject), 10, true, NO_MAPS),
  native.programAttach(readFileSync(decapObject), 14, false, NO_MAPS),
];
const mapsOf = ({ config, counters, peers, flows }) => Uint32Array.of(config, counters, peers, flows);
native.programAttach(readFileSync(witnessObject), 12, true, mapsOf(handles[0]));
native.programAttach(readFileSync(directObject), 12, false, mapsOf(handles[1]));
native.programConfigure(handles[0].config, Uint32Array.from(encap));
native.programConfigure(handles[1].config, Uint32Array.from(decap));
for (const { flows: map } of handles) {
  for (const flow of flows) native.programAddFlow(map, Uint32Array.from(flow));
}
const wire = new URL('vxlan-program-wire.py', import.meta.url).pathname;
const output = execFileSync('python3', [wire], {
  input: JSON.stringify({ at, outgoing, incoming, last }),
  maxBuffer: 1 << 28,
});
const counted = handles.map(({ counters }) => native.programCount(counters));
const [vx0] = JSON.parse(execFileSync('ip', ['-j', '-s', 'link', 'show', 'vx0']).toString());
const byDevice = { in: vx0.stats64.rx.packets, out: vx0.stats64.tx.packets };
process.stdout.write(JSON.stringify({ ...JSON.parse(output), counted, byDevice }));
