/** What the tracer copies of a fan over VXLAN: frames as they were read, and all headers as they are on the wire. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { dropReasonName } from '../../../../src/base/drop-reason.js';
import { arp, datagram, frame, inVxlan } from '../frames.js';
import { packet } from '../packets.js';
import { decap, encap, PEER, traced, US } from './vxlan.js';

const out = frame(packet('250.0.28.2', '250.0.27.2'));
const back = frame(packet('250.0.27.2', '250.0.28.2'));
const foreign = frame(packet('250.0.99.2', '250.0.27.2'));

const compile = (text: string) =>
  execFileSync('tcpdump', ['-ddd', '-y', 'RAW', text], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);

/** Of how many packets, out and back, a filter shows. */
function shownBy(text: string, frames = [out, arp('250.0.28.2', '250.0.27.9')]): (string | undefined)[] {
  const { tracer, records } = traced({ program: compile(text) });
  encap(tracer, frames);
  decap(tracer, [inVxlan(back), inVxlan(arp('250.0.27.9', '250.0.28.2'))]);
  return records.map(({ path, data }) => {
    const type = path === 'encap' ? 12 : 36 + 12;
    return `${path} ${data[type + 1] === 6 ? 'ARP' : 'IP'}`;
  });
}

describe('a frame', () => {
  it('that leaves is shown as it was read, with the headers that it gets', () => {
    const { tracer, records } = traced();
    encap(tracer, [out, foreign]);
    expect(records.map(({ path, fan, reason }) => [path, fan, dropReasonName(reason)])).toEqual([
      ['encap', '250.0.0.0/8', undefined],
      ['encap', '250.0.0.0/8', 'source-not-ours'],
    ]);
    const [first, second] = records;
    expect(first?.data).toEqual(out);
    expect(first?.isVxlan).toBe(true);
    const wire = datagram(US, PEER, inVxlan(out));
    // The source port is the kernel's.
    wire.set([0, 0], 20);
    expect(Uint8Array.from([...first!.outer!, ...first!.data])).toEqual(wire);
    expect(second?.outer).toBeUndefined();
  });

  it('that came is shown whole, with the TOS that it got, and ARP with none', () => {
    const { tracer, records } = traced();
    const marked = frame(packet('250.0.27.2', '250.0.28.2', { tos: 2 }));
    decap(tracer, [inVxlan(marked), inVxlan(arp('250.0.27.2', '250.0.28.2'))], [], 3);
    const whole = datagram(PEER, US, inVxlan(marked), { tos: 3, ttl: 63 });
    expect(records[0]).toMatchObject({ length: whole.length, tos: 3, fan: '250.0.0.0/8' });
    expect(records[0]?.data).toEqual(whole);
    expect([records[1]?.reason, records[1]?.tos]).toEqual([0, undefined]);
  });

  it('leaves those next to it in the slab as they were', () => {
    const { tracer } = traced();
    const rx = decap(tracer, [inVxlan(back), inVxlan(back)]);
    expect(rx.slab.subarray(rx.offset(1) - 28, rx.offset(1)).every((byte) => byte === 0)).toBe(true);
  });

  it('of no fan is shown as well, and what is too short to be one', () => {
    const { tracer, records } = traced();
    const stray = inVxlan(back);
    stray[6] = 7;
    decap(tracer, [stray, Uint8Array.of(8), new Uint8Array(0), inVxlan(Uint8Array.of(1, 2))]);
    expect(records.map(({ fan, reason }) => [fan, dropReasonName(reason)])).toEqual([
      [undefined, 'vni'],
      [undefined, 'vxlan-malformed'],
      [undefined, 'vxlan-malformed'],
      ['250.0.0.0/8', 'inner-malformed'],
    ]);
  });

  it('that is too big is answered by another, which is shown too', () => {
    const { tracer, records } = traced();
    encap(tracer, [frame(packet('250.0.28.2', '250.0.27.2', { payload: 1431, dontFragment: true }))]);
    expect(records.map(({ path, reason }) => [path, dropReasonName(reason)])).toEqual([
      ['encap', 'too-big'],
      ['reply', undefined],
    ]);
    expect([...records[1]!.data.subarray(12, 15)]).toEqual([8, 0, 0x45]);
    expect([...records[1]!.data.subarray(34, 36)]).toEqual([3, 4]);
  });
});

describe('a filter', () => {
  const ALL = ['encap IP', 'encap ARP', 'decap IP', 'decap ARP'];
  it.each<[string, string[]]>([
    ['host 250.0.28.2', ALL],
    ['host 250.0.27.2', ['encap IP', 'decap IP']],
    ['host 250.0.27.9', ['encap ARP', 'decap ARP']],
    ['host 172.30.0.27', ALL],
    ['src host 172.30.0.27', ['decap IP', 'decap ARP']],
    ['udp dst port 8472', ALL],
    ['ip[8] = 63 and udp', ['decap IP', 'decap ARP']],
    ['ip proto 4', []],
  ])('"%s" is matched by inner and outer packets, and ARP by its addresses', (text, expected) => {
    expect(shownBy(text)).toEqual(expected);
  });
});
