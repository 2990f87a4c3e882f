/** What a fan over VXLAN takes from its overlay, and which fans can't stand beside each other. */
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { checkEncapsulation, defaultVni, overheadOf, tunnelMac } from '../../../src/fan/encapsulation.js';
import { createMapping } from '../../../src/fan/mapping.js';

const fan = (overlay: string, vni?: number) => ({
  mapping: createMapping(parsePrefix(overlay), parseAddress('172.30.0.28'), 16),
  bridge: 'fan-one',
  ...(vni === undefined ? {} : { vxlan: { vni, port: 8472, layer2: false } }),
});

it.each([
  ['240.0.0.0/8', 15_728_640],
  ['250.0.0.0/8', 16_384_000],
  ['240.7.0.0/16', 0xf00700],
])('the VNI of %s is %i', (overlay, vni) => {
  expect(defaultVni(parsePrefix(overlay))).toBe(vni);
});

it('20 bytes are for IP-in-IP, 50 for VXLAN', () => {
  expect(overheadOf(undefined)).toBe(20);
  expect(overheadOf(fan('250.0.0.0/8', 1).vxlan)).toBe(50);
});

it("the tunnel's MAC is local, unicast, and made of the underlay address", () => {
  expect(tunnelMac(parseAddress('172.30.0.28'))).toBe('02:fa:ac:1e:00:1c');
});

describe('checkEncapsulation', () => {
  it('refuses one overlay over both', () => {
    expect(() => checkEncapsulation(fan('250.0.0.0/8', 5), [fan('250.0.0.0/12')])).toThrow(
      'overlay 250.0.0.0/8 overlaps 250.0.0.0/12 of fan-one, which is of type ipip: say "type ipip" here too',
    );
    expect(() => checkEncapsulation(fan('250.0.0.0/12'), [fan('250.0.0.0/8', 5)])).toThrow(
      'is of type vxlan',
    );
  });

  it('refuses one VNI for two overlays', () => {
    expect(() => checkEncapsulation(fan('99.0.0.0/8', 5), [fan('250.0.0.0/8', 5)])).toThrow(
      'vni 5 of 99.0.0.0/8 is that of fan-one already',
    );
  });

  it('lets others be', () => {
    const others = [fan('250.0.0.0/8', 5), fan('99.0.0.0/8')];
    expect(() => checkEncapsulation(fan('98.0.0.0/8', 6), others)).not.toThrow();
    expect(() => checkEncapsulation(fan('98.0.0.0/8'), others)).not.toThrow();
  });
});
