/** rtnetlink messages against bytes as `strace ip` shows them on a little-endian machine, and against damage. */
import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeError,
  decodeForwarding,
  decodeLink,
  decodeLinkRole,
  decodeMessages,
  decodeNeighbour,
  decodeRoute,
  encodeGetForwarding,
  encodeGetLink,
  encodeGetLinkAt,
  encodeGetNeighbour,
  encodeGetRoute,
  isOfBridges,
  MESSAGE,
  OPER_UP,
} from '../../../../src/io/netlink/rtnetlink.js';

const PEER = 0xac1e001b;
const US = 0xac1e001c;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function one(text: string) {
  const [message, ...more] = decodeMessages(Buffer.from(text.replace(/ /g, ''), 'hex'));
  expect(more).toEqual([]);
  return message!;
}

/** Header of a message of `length` bytes in all. */
function header(length: number, type: number): string {
  return `${length.toString(16).padStart(2, '0')}000000 ${type.toString(16).padStart(2, '0')}00 0000 00000000 00000000`;
}

describe.runIf(endianness() === 'LE')('rtnetlink', () => {
  it('encodes its questions', () => {
    expect(hex(encodeGetLink('eth0'))).toBe(
      `2c0000001200010000000000000000000000000000000000000000000000000009000300657468300000`.padEnd(88, '0'),
    );
    expect(hex(encodeGetRoute(PEER, US))).toBe(
      '2c0000001a00010000000000000000000220200000000000000000000800' + '0100ac1e001b08000200ac1e001c',
    );
    expect(hex(encodeGetNeighbour(3, PEER))).toBe(
      '240000001e000100000000000000000002000000030000000000000008000100ac1e001b',
    );
  });

  it('decodes a route by a gateway, and one on the link', () => {
    const attributes = '08000400 03000000 08000500 ac1e0001';
    const unicast = '02200000 fe030001 00000000';
    expect(decodeRoute(one(`${header(44, MESSAGE.newRoute)} ${unicast} ${attributes}`))).toEqual({
      device: 3,
      gateway: 0xac1e0001,
    });
    const onLink = one(`${header(36, MESSAGE.newRoute)} ${unicast} 08000400 03000000`);
    expect(decodeRoute(onLink)).toEqual({ device: 3 });
  });

  it('knows no way by a blackhole, or a next hop of another family', () => {
    const device = '08000400 03000000';
    expect(decodeRoute(one(`${header(36, MESSAGE.newRoute)} 02200000 fe030006 00000000 ${device}`))).toBe(
      undefined,
    );
    const via = `16001200 0a00${'fe80'.padEnd(32, '0')}0000`;
    const message = one(`${header(60, MESSAGE.newRoute)} 02200000 fe030001 00000000 ${device} ${via}`);
    expect(decodeRoute(message)).toBe(undefined);
  });

  it.each([
    ['0200', '020000000001', true],
    ['0400', '020000000001', false],
    ['8000', '020000000001', true],
    ['0100', '', false],
    ['2000', '', false],
  ])('decodes a neighbour in state %s', (state, lladdr, confirmed) => {
    const text = `${header(48, MESSAGE.newNeighbour)} 02000000 03000000 ${state}0001 08000100 ac1e001b 0a000200 020000000001 0000`;
    const neighbour = decodeNeighbour(one(text))!;
    expect(neighbour).toMatchObject({ device: 3, address: PEER, confirmed });
    expect(hex(neighbour.lladdr)).toBe(lladdr);
  });

  it('takes a deleted neighbour for one that cannot be sent to', () => {
    const text = `${header(48, MESSAGE.delNeighbour)} 02000000 03000000 02000001 08000100 ac1e001b 0a000200 020000000001 0000`;
    expect(decodeNeighbour(one(text))).toMatchObject({ lladdr: new Uint8Array(0), confirmed: false });
  });

  it('decodes a link', () => {
    const link = '00000100 02000000 43100100 00000000 0a000100 02000000 0002 0000 08000400 dc050000';
    const known = { index: 2, type: 1, mtu: 1500, address: Uint8Array.of(2, 0, 0, 0, 0, 2) };
    const text = `${header(60, MESSAGE.newLink)} ${link} 05001000 06000000`;
    expect(decodeLink(one(text))).toEqual({ ...known, operState: OPER_UP });
    expect(decodeLink(one(`${header(52, MESSAGE.newLink)} ${link}`))).toEqual({ ...known, operState: 0 });
  });

  it('asks for the entries of a bridge, and for a link by its index', () => {
    expect(hex(encodeGetForwarding(2))).toBe(
      '280000001e0001030000000000000000070000000000000000000000000000000' + '8000a0002000000',
    );
    expect(hex(encodeGetLinkAt(258))).toBe(
      '20000000120001000000000000000000'.padEnd(40, '0') + '02010000'.padEnd(24, '0'),
    );
  });

  /** An entry of bridge 2 as Linux 6.18 tells it. */
  const entry = (port: string, state: string, mac: string, more = '') =>
    `07000000 ${port}000000 ${state}000000 0a000200 ${mac}0000 08000900 02000000 08000f00 00000000 14000300 ${'10000000'.repeat(4)} ${more}`;
  const forwarding = (type: number, body: string) => {
    const length = 16 + body.replace(/ /g, '').length / 2;
    return decodeForwarding(one(`${header(length, type)} ${body}`));
  };

  it.each([
    ['that was learned', '04', '02', true],
    ['that was not heard of for long', '04', '04', true],
    ['that somebody set', '04', '40', true],
    ['of the port itself', '04', '80', false],
    ['of the bridge itself', '02', '02', false],
  ])('decodes an entry of a bridge %s', (_, port, state, behind) => {
    const known = { bridge: 2, port: Number(port), mac: Uint8Array.of(2, 0, 0, 0, 1, 2) };
    const body = entry(port, state, '020000000102');
    expect(forwarding(MESSAGE.newNeighbour, body)).toEqual({ ...known, behind });
    expect(forwarding(MESSAGE.delNeighbour, body)).toEqual({ ...known, behind: false });
  });

  it('takes no address of a group, no VLAN, and no device but a bridge', () => {
    const group = entry('04', '40', '01005e000001');
    expect(forwarding(MESSAGE.newNeighbour, group)).toMatchObject({ behind: false });
    const vlan = entry('04', '02', '020000000102', '06000500 0a000000');
    expect(forwarding(MESSAGE.newNeighbour, vlan)).toBe(undefined);
    const self = '07000000 04000000 80000200 0a000200 020000000102 0000';
    expect(forwarding(MESSAGE.newNeighbour, self)).toBe(undefined);
    const ofIpv4 = entry('04', '02', '020000000102').replace('07', '02');
    expect(forwarding(MESSAGE.newNeighbour, ofIpv4)).toBe(undefined);
  });

  it('decodes what a link is', () => {
    const role = (body: string) => {
      const length = 16 + body.replace(/ /g, '').length / 2;
      return decodeLinkRole(one(`${header(length, MESSAGE.newLink)} ${body}`));
    };
    const name = '08000300 62723000';
    const bridge = (filtering: string) =>
      `00000100 02000000 03100000 00000000 ${name} 24001200 0b000100 627269646765 0000 14000200 05000700 ${filtering}000000 05001600 01000000`;
    expect(role(bridge('01'))).toEqual({
      index: 2,
      name: 'br0',
      master: 0,
      kind: 'bridge',
      isUp: true,
      isForwarding: true,
      vlanFiltering: true,
    });
    expect(role(bridge('00'))).toMatchObject({
      vlanFiltering: false,
    });
    const veth = `00000100 04000000 43100100 00000000 08000a00 02000000 10001200 09000100 76657468 00000000`;
    expect(role(veth)).toEqual({
      index: 4,
      name: '',
      master: 2,
      kind: 'veth',
      isUp: true,
      isForwarding: true,
      vlanFiltering: false,
    });
    expect(role(veth.replace('43100100', '42100000'))).toMatchObject({ isUp: false });
    // … of a bridge, with the state of the port: 3 is forwarding, 4 blocking.
    const port = (state: string) =>
      `00000100 04000000 43100100 00000000 08000a00 02000000 1c001200 09000100 76657468 00000000 0c000580 05000100 ${state}000000`;
    expect(['03', '04', '00'].map((state) => role(port(state))?.isForwarding)).toEqual([true, false, false]);
    const ofBridge = '07000100 04000000 43100100 00000000 08000a00 02000000';
    expect(role(ofBridge)).toEqual({
      index: 4,
      name: '',
      master: 2,
      kind: '',
      isUp: true,
      isForwarding: true,
      vlanFiltering: false,
    });
    const told = (body: string) =>
      isOfBridges(one(`${header(16 + body.replace(/ /g, '').length / 2, MESSAGE.newLink)} ${body}`));
    expect([ofBridge, veth].map(told)).toEqual([true, false]);
  });

  it('decodes what ended an answer', () => {
    expect(decodeError(one('14000000 0300 0200 00000000 00000000 00000000'))).toBe(0);
    expect(decodeError(one('14000000 0300 0200 00000000 00000000 edffffff'))).toBe(-19);
    expect(decodeError(one('10000000 0300 0200 00000000 00000000'))).toBe(0);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 16, max: 200 }), (bytes, length) => {
        if (bytes.length >= 4) bytes.set([length, 0, 0, 0]);
        for (const message of decodeMessages(bytes)) {
          decodeLink(message);
          decodeRoute(message);
          decodeNeighbour(message);
          decodeLinkRole(message);
          decodeForwarding(message);
          decodeError(message);
        }
      }),
    );
  });
});
