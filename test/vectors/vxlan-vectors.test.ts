/** VXLAN and the frames in it against golden packets made by scapy (make-wire-vectors.py), in a buffer that was dirty. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/addr/ipv4-address.js';
import { DROP, type DropReasonName, KEEP } from '../../src/base/drop-reason.js';
import {
  arpSender,
  arpTarget,
  checkArp,
  checkEthernet,
  ETHERTYPE_ARP,
  etherType,
  readVni,
  VXLAN_LEN,
  writeVxlan,
} from '../../src/wire/vxlan.js';

interface Vector {
  name: string;
  vni: number;
  frame: string;
  packet: string;
  reason: DropReasonName | null;
}

const AT = 100;
const vectors: Vector[] = JSON.parse(readFileSync(new URL('wire/vxlan.json', import.meta.url), 'utf8'));

describe.each(vectors)('$name', ({ vni, frame, packet, reason }) => {
  const frameBytes = Buffer.from(frame, 'hex');

  it('is written to the byte', () => {
    const slab = new Uint8Array(2048).fill(0xa5);
    slab.set(frameBytes, AT + VXLAN_LEN);
    writeVxlan(new DataView(slab.buffer), AT, vni);
    const written = slab.subarray(AT, AT + VXLAN_LEN + frameBytes.length);
    expect(Buffer.from(written).toString('hex')).toBe(packet);
    expect(slab[AT - 1]).toBe(0xa5);
  });

  it('is read and judged', () => {
    const slab = new Uint8Array(2048).fill(0xa5);
    slab.set(Buffer.from(packet, 'hex'), AT);
    const view = new DataView(slab.buffer);
    const at = AT + VXLAN_LEN;
    expect(readVni(view, AT)).toBe(vni);
    let verdict = checkEthernet(slab, at, frameBytes.length);
    const isArp = verdict === KEEP && etherType(slab, at) === ETHERTYPE_ARP;
    if (isArp) verdict = checkArp(slab, at, frameBytes.length);
    expect(verdict).toBe(reason === null ? KEEP : DROP[reason]);
    if (!isArp || verdict !== KEEP) return;
    expect(arpSender(view, at) >>> 0).toBe(parseAddress('250.0.28.2'));
    expect(arpTarget(view, at) >>> 0).toBe(parseAddress('250.0.27.2'));
  });
});
