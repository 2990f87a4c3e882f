import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters, HOST_BLOCK } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathErrors } from '../../../../src/dataplane/walks/path-errors.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { checksum } from '../../../../src/wire/checksum.js';
import { decodeIpv4 } from '../../../../src/wire/ipv4.js';
import { batchOf, bytesOf, fanSpec, nonZero, packet, tunnelled } from '../packets.js';

const US = '172.30.0.28';
const PEER = '172.30.0.27';
const ROUTER = '172.30.0.1';
const inner = packet('250.0.28.2', '250.0.27.2', { dontFragment: true });

/** An ICMP error from the router about one of our packets, of which `quoted` bytes are quoted. */
function icmpError(
  type: number,
  code: number,
  mtu: number,
  about = tunnelled(US, PEER, inner),
  quoted = about.length,
): Uint8Array {
  const icmp = new Uint8Array(8 + quoted);
  icmp.set([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 255]);
  icmp.set(about.subarray(0, quoted), 8);
  const sum = checksum(icmp, 0, icmp.length);
  icmp.set([sum >> 8, sum & 255], 2);
  const bytes = packet(ROUTER, US, { protocol: 1, payload: icmp.length });
  bytes.set(icmp, 20);
  return bytes;
}

function receive(bytes: Uint8Array) {
  const counters = new Counters();
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16)]);
  const pathMtu = new PathMtuTable();
  const replies = new IcmpReplies(counters);
  const errors = new PathErrors(counters, pathMtu, replies, table);
  const fan = errors.process(batchOf([bytes]), 0, 1);
  return {
    fan,
    replies: replies.batch,
    mtu: pathMtu.lookup(parseAddress(PEER), 1500, 1),
    counters: nonZero(counters.read(1)),
    host: nonZero(counters.read(HOST_BLOCK)),
  };
}

describe('an ICMP error about our packet', () => {
  it('"too big" is learnt and relayed with MTU − 20', () => {
    const { replies, mtu, counters, fan } = receive(icmpError(3, 4, 1400));
    expect(mtu).toBe(1400);
    expect(fan).toBeDefined();
    const reply = bytesOf(replies, 0);
    expect(decodeIpv4(reply, 0)).toMatchObject({
      source: parseAddress('250.0.27.2'),
      destination: parseAddress('250.0.28.2'),
    });
    expect([reply[20], reply[21], (reply[26]! << 8) | reply[27]!]).toEqual([3, 4, 1380]);
    expect(counters).toEqual({ 'icmp-rx-packets': 1, 'icmp-tx-packets': 1 });
  });

  it('"too big" with a short quote is only learnt', () => {
    const { replies, mtu } = receive(icmpError(3, 4, 1400, undefined, 20 + 8));
    expect(mtu).toBe(1400);
    expect(replies.count).toBe(0);
  });

  it.each([0, 67])('"too big" with MTU %i is ignored', (announced) => {
    const { replies, mtu } = receive(icmpError(3, 4, announced));
    expect(mtu).toBe(1500);
    expect(replies.count).toBe(0);
  });

  it.each([
    [11, 0],
    [3, 0],
    [3, 1],
    [3, 2],
  ])('%i/%i becomes host unreachable', (type, code) => {
    const { replies } = receive(icmpError(type, code, 0));
    expect(Array.from(bytesOf(replies, 0).slice(20, 22))).toEqual([3, 1]);
  });

  it.each([
    [3, 3],
    [3, 5],
    [5, 1],
    [4, 0],
    [12, 0],
  ])('%i/%i is counted and not relayed', (type, code) => {
    const { replies, counters } = receive(icmpError(type, code, 0));
    expect(replies.count).toBe(0);
    expect(counters).toEqual({ 'icmp-rx-packets': 1 });
  });

  const forged: [string, Uint8Array][] = [
    ['another source', tunnelled('172.30.0.99', PEER, inner)],
    ['a peer that the inner destination does not map to', tunnelled(US, '172.30.0.26', inner)],
    ['an inner source that is not ours', tunnelled(US, PEER, packet('250.0.26.2', '250.0.27.2'))],
    ['an inner destination outside the overlay', tunnelled(US, PEER, packet('250.0.28.2', '8.8.8.8'))],
  ];
  it.each(forged)('with %s is refused', (_, about) => {
    const { replies, mtu, host } = receive(icmpError(3, 4, 1400, about));
    expect(mtu).toBe(1500);
    expect(replies.count).toBe(0);
    expect(host).toEqual({ 'drop-icmp-invalid-packets': 1 });
  });

  it('about another protocol is none of our business', () => {
    const { host, counters } = receive(icmpError(3, 1, 0, packet(US, PEER)));
    expect({ ...host, ...counters }).toEqual({});
  });
});
