/** Base chains as Linux 6.18 tells of them, and which of them a packet would pass by. */
import { describe, expect, it } from 'vitest';
import { chainPassedBy, decodeEarlyChain, encodeGetChains } from '../../../../src/io/netlink/early-chains.js';
import { decodeMessages } from '../../../../src/io/netlink/rtnetlink.js';

/** A message of nf_tables: family, table "fw", name "c", and the hook's attributes. */
function chain(family: string, hook?: string): Uint8Array {
  const strings = '07000100 66770000 06000300 63000000'.replace(/ /g, '');
  const hooked = hook?.replace(/ /g, '');
  const nested = hooked === undefined ? '' : `${hex16(4 + hooked.length / 2)}0480${hooked}`;
  const attributes = `${strings}0c000200 0000000000000001${nested}08000600 00000000`.replace(/ /g, '');
  const length = hex16(20 + attributes.length / 2);
  const header = `${length}0000 030a 0200 00000000 523c0000 ${family}000004`.replace(/ /g, '');
  return Buffer.from(header + attributes, 'hex');
}

function hex16(value: number): string {
  return Buffer.from(Uint8Array.of(value & 255, value >> 8)).toString('hex');
}

const decode = (bytes: Uint8Array) => decodeMessages(bytes).flatMap(decodeEarlyChain);
const number = (hook: number) => `08000100 000000${hook.toString(16).padStart(2, '0')} 08000200 00000000`;
const DEVICE = '07000300 64300000';
/** d0 and a name that begins with "d1". */
const DEVICES = '14000400 07000100 64300000 08000100 64312a00';

describe('chains that a packet passes by where the kernel decapsulates it', () => {
  it('are those of a device, or of several, and all of bridges', () => {
    const [netdev, inet, bridge] = ['05', '01', '07'];
    expect(decode(chain(netdev, `${number(0)}${DEVICE}`))).toEqual([
      { name: 'netdev fw c', way: 'in', devices: ['d0'] },
    ]);
    const several = { name: 'netdev fw c', way: 'in', devices: ['d0', 'd1*'] };
    expect(decode(chain(netdev, `${number(0)}${DEVICES}`))).toEqual([several]);
    expect(decode(chain(inet, `${number(5)}${DEVICE}`))).toEqual([
      { name: 'inet fw c', way: 'in', devices: ['d0'] },
    ]);
    expect(decode(chain(bridge, number(2)))).toEqual([
      { name: 'bridge fw c', way: 'in', devices: undefined },
    ]);
    expect(decode(chain(netdev, `${number(1)}${DEVICE}`))).toEqual([
      { name: 'netdev fw c', way: 'out', devices: ['d0'] },
    ]);
  });

  it('are not those at other hooks, nor such as are only jumped to', () => {
    const others = [chain('05', `${number(2)}${DEVICE}`), chain('01', number(1)), chain('02', number(0))];
    for (const other of [...others, ...['01', '05', '07'].map((family) => chain(family))]) {
      expect(decode(other)).toEqual([]);
    }
    expect(decode(encodeGetChains())).toEqual([]);
  });

  it('are found by the device', () => {
    const chains = decode(chain('05', `${number(0)}${DEVICES}`));
    expect(
      ['d0', 'd1', 'd12', 'd', 'd2'].map((device) => chainPassedBy(chains, device, 'in') !== undefined),
    ).toEqual([true, true, true, false, false]);
    expect(chainPassedBy(decode(chain('07', number(2))), 'any', 'in')).toBe('bridge fw c');
    expect(chainPassedBy(chains, 'd0', 'out')).toBe(undefined);
    expect(chainPassedBy(decode(chain('05', `${number(1)}${DEVICE}`)), 'd0', 'out')).toBe('netdev fw c');
    expect(chainPassedBy([], 'd0', 'in')).toBe(undefined);
  });

  it('are read from bytes that are cut anywhere, without a fault', () => {
    const whole = chain('05', `${number(0)}${DEVICES}`);
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length);
      if (length >= 16) new DataView(cut.buffer).setUint32(0, length, true);
      expect(() => decode(cut)).not.toThrow();
    }
  });
});
