/**
 * Runs a fan's program over frames (BPF_PROG_TEST_RUN), in a network namespace of its own that ends with it.
 * stdin: {words, flows, frames} with frames in hexadecimal; stdout: for each {verdict, frame}.
 *
 * arguments: addon, object file, egress or ingress
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [addon, object, side] = process.argv.slice(2);
const native = createRequire(import.meta.url)(addon);
const { words, flows = [], frames } = JSON.parse(readFileSync(0, 'utf8'));
native.tunOpen('tun0', 0, false);
const setUp = 'link set lo up\nlink set tun0 up\naddress add 172.30.0.28/16 dev tun0\n';
execFileSync('ip', ['-batch', '-'], { input: setUp });
writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
// The first device of a new namespace after the loopback.
const handles = native.programAttach(readFileSync(object), 2, side === 'egress', new Uint32Array(0));
native.programConfigure(handles.config, Uint32Array.from(words));
for (const flow of flows) native.programAddFlow(handles.flows, Uint32Array.from(flow));
const out = new Uint8Array(65_536);
const results = frames.map((hex) => {
  const { verdict, length } = native.programTest(handles.program, Buffer.from(hex, 'hex'), out);
  return { verdict, frame: Buffer.from(out.subarray(0, length)).toString('hex') };
});
process.stdout.write(JSON.stringify({ results, counted: native.programCount(handles.counters) }));
