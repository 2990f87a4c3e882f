/** Whatever JavaScript hands to the addon, it answers with an exception or an errno, and reads no other memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unixConnect } from '../../src/io/connect.js';
import { native } from '../../src/io/native.js';
import { PacketBatch } from '../../src/io/packet-batch.js';

const functions = native as unknown as Record<string, (...values: unknown[]) => unknown>;
/** Those that would touch a descriptor of this process are called with descriptors that can't exist. */
const NO_FD = 1 << 30;
const names = Object.keys(functions).filter(
  (name) => !/^(pollerOpen|eventOpen|ringOpen|tunOpen|lockFile)$/.test(name),
);

const junk = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    '',
    'x',
    Number.NaN,
    -1,
    0.5,
    2 ** 32,
    2 ** 53,
    -Infinity,
    NO_FD,
    0n,
  ),
  fc.constantFrom({}, [], () => 0, Symbol('s'), new Uint8Array(0), new Uint8Array(100), new Uint32Array(16)),
  fc.constantFrom(
    new Int32Array(4),
    new Float64Array(4),
    new DataView(new ArrayBuffer(8)),
    new ArrayBuffer(8),
  ),
);

describe('arguments', () => {
  test('of any type end in an exception or a number', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(junk, { maxLength: 7 }), (name, values) => {
        const small = (value: unknown) => typeof value === 'number' && value >= 0 && value < 1000;
        fc.pre(!values.some(small));
        try {
          functions[name]!(...values);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect((error as { code?: string }).code).toMatch(/^E/);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('too few, of the wrong type, or out of range name the argument', () => {
    const bytes = new Uint8Array(64);
    expect(() => functions.checksum!(bytes)).toThrow(TypeError);
    expect(() => functions.checksum!([1, 2], 0, 2)).toThrow('bytes must be a Uint8Array');
    expect(() => native.checksum(bytes, 0, 65)).toThrow(RangeError);
    expect(() => native.checksum(bytes, 60, 5)).toThrow('length is not an integer in its range');
    expect(() => native.checksum(bytes, -1, 5)).toThrow('offset');
    expect(() => native.tunRead(NO_FD, null, bytes, new Uint32Array(15), 2)).toThrow('descriptors');
    const noStruct = expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE',
      message: 'words are not those of the struct',
    });
    expect(() => native.programConfigure(NO_FD, new Uint32Array(2))).toThrow(noStruct);
    expect(() => native.programAddFlow(NO_FD, new Uint32Array(100))).toThrow(noStruct);
    expect(() => native.bridgeExitSetPort(NO_FD, new Uint8Array(5), 1)).toThrow('mac is not of 6 bytes');
    expect(() => native.bridgeExitSetPort(NO_FD, new Uint8Array(6), -1)).toThrow('port is not an integer');
    expect(native.bridgeExitSetPort(NO_FD, new Uint8Array(6), 1)).toBe(-9);
    expect(() => native.bridgeExitAttach(bytes, 0, 1)).toThrow('bridge is not an integer');
    expect(() => native.bridgeExitAttach(bytes, 1, 2 ** 31)).toThrow('tun is not an integer');
    expect(() => functions.rawOpen!(1)).toThrow('options must be an object');
    expect(() => native.lockFile('a\0b')).toThrow('path holds a NUL');
    expect(() => unixConnect('a', 0)).toThrow('patience is not an integer');
    expect(() => native.fileGroupSet(-1)).toThrow('group is not an integer');
    expect(() => native.fileGroupSet(2 ** 32 - 1)).toThrow('group is not an integer');
  });

  test('the group of files of this thread is set, and set back', () => {
    const before = native.fileGroupSet(12345);
    expect(native.fileGroupSet(before)).toBe(12345);
    expect(native.fileGroupSet(before)).toBe(before);
  });

  test('system errors carry code, errno and syscall', () => {
    expect(() => native.close(NO_FD)).toThrow(
      expect.objectContaining({ code: 'EBADF', errno: 9, syscall: 'close' }),
    );
    expect(() => native.lockFile('/nonexistent/lock')).toThrow(
      expect.objectContaining({ code: 'ENOENT', errno: 2, syscall: 'open' }),
    );
    expect(() => native.tunOpen('longer-than-a-device-name', 0, false)).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG', syscall: 'open' }),
    );
    expect(() => unixConnect('a'.repeat(108), 1)).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG', syscall: 'connect' }),
    );
    expect(() => native.socketDrops(NO_FD)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('descriptors outside the slab fail alone, with EINVAL', () => {
    const outside = fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1));
    fc.assert(
      fc.property(outside, fc.nat(255), fc.nat(255), ([offset, length], flags, gsoType) => {
        const batch = PacketBatch.create(1, 4096);
        fc.pre(offset + length > 4096);
        batch.setRange(0, offset, length);
        batch.setVnet(0, flags, gsoType, 100, 40);
        batch.count = 1;
        expect(native.tunWrite(NO_FD, null, batch.slab, batch.descriptors, 1, 1480, 3)).toBe(1);
        expect(batch.error(0)).toBe(22);
        expect(native.rawSend(NO_FD, batch.slab, batch.descriptors, 1, 20, true)).toBe(1);
        expect(batch.error(0)).toBe(22);
        expect(() => native.segment(batch.slab, batch.descriptors, 0, batch.slab)).toThrow('segment');
      }),
      { numRuns: 500 },
    );
  });

  test('a send to a broken descriptor marks every packet', () => {
    const batch = PacketBatch.create(3, 4096);
    for (let i = 0; i < 3; i++) batch.setRange(i, 64 * (i + 1), 20);
    expect(native.rawSend(NO_FD, batch.slab, batch.descriptors, 3, 20, true)).toBe(3);
    expect([0, 1, 2].map((i) => batch.error(i))).toEqual([9, 9, 9]);
    expect(native.tunWrite(NO_FD, null, batch.slab, batch.descriptors, 3, 1480, 0)).toBe(3);
    expect(native.rawReceive(NO_FD, new Uint8Array(1 << 17), batch.descriptors, 3)).toBe(-9);
    expect(native.tunRead(NO_FD, null, new Uint8Array(1 << 17), batch.descriptors, 3)).toBe(-9);
  });
});
