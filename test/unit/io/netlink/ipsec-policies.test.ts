/** The question for IPsec policies against bytes as `strace ip xfrm policy count` shows them on a little-endian machine. */
import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { countPolicies, encodeGetCounts, isBlockedElse } from '../../../../src/io/netlink/ipsec-policies.js';
import { decodeMessages } from '../../../../src/io/netlink/rtnetlink.js';

const message = (text: string) => decodeMessages(Buffer.from(text.replace(/ /g, ''), 'hex'))[0];
const count = (text: string) => countPolicies(message(text));
const NONE = { incoming: 0, outgoing: 0 };

const HEADER = '0000 00000000 00000000';
/** xfrmu_spdhinfo, which the kernel also tells. */
const HASHES = '0c000200 01000000 00001000';

describe.runIf(endianness() === 'LE')('IPsec policies', () => {
  it('are asked for by their counts', () => {
    expect(Buffer.from(encodeGetCounts()).toString('hex')).toBe('1400000025000100000000000000000000000000');
  });

  it('count by their way', () => {
    const counts = '1c000100 02000000 03000000 01000000 00000000 05000000 00000000';
    expect(count(`30000000 2400 ${HEADER} 00000000 ${counts}`)).toEqual({ incoming: 2, outgoing: 3 });
    expect(count(`3c000000 2400 ${HEADER} 00000000 ${HASHES} ${counts}`)).toEqual({
      incoming: 2,
      outgoing: 3,
    });
  });

  it('are none where the answer is an error, too short, or missing', () => {
    expect(count(`24000000 0200 ${HEADER} ffffffff 1400000025000100 00000000 00000000`)).toEqual(NONE);
    expect(count(`1c000000 2400 ${HEADER} 00000000 08000100 02000000`)).toEqual(NONE);
    expect(count(`14000000 2400 ${HEADER} 00000000`)).toEqual(NONE);
    expect(count('')).toEqual(NONE);
  });

  it('may be asked for by what no policy is for', () => {
    const defaults = (bytes: string) => isBlockedElse(message(`14000000 2800 ${HEADER} ${bytes}`));
    expect(['02020200', '01020200', '02020100', '02010200'].map(defaults)).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(
      isBlockedElse(message(`24000000 0200 ${HEADER} eaffffff 1400000028000100 00000000 00000000`)),
    ).toBe(false);
  });
});
