/** Packets for the walks: mostly what peers and containers send, in every field now and then what they would not. */
import fc from 'fast-check';
import { parseAddress } from '../../src/addr/ipv4-address.js';
import { withChecksum } from '../oracle/wire/slow-verdict.js';
import { type Fields, packet, tunnelled } from '../unit/dataplane/packets.js';

export const OVERLAYS = ['250.0.0.0/8', '99.0.0.0/8'];
export const US = '172.30.0.28';
export const UNDERLAY_LENGTH = 16;

/** The host of US, for the oracles. */
export const SLOW_FANS = OVERLAYS.map((overlay) => ({
  overlayBase: parseAddress(overlay.split('/')[0]!),
  overlayLength: 8,
  address: parseAddress(US),
  underlayLength: UNDERLAY_LENGTH,
}));

const OURS = ['250.0.28.2', '250.0.28.254', '250.0.28.1', '99.0.28.7', '250.0.28.0', '250.0.28.255'];
const THEIRS = ['250.0.27.2', '250.255.254.3', '99.0.27.2', '250.0.0.1', '250.255.255.3', '250.0.27.255'];
const OTHERS = ['8.8.8.8', '255.255.255.255', '127.0.0.1', '224.0.0.1', '0.0.0.0', '172.30.0.27'];
const HOSTS = ['172.30.0.27', '172.30.255.254', US, '172.30.0.0', '172.30.255.255', '172.31.0.27', '8.8.8.8'];

/** Most of `usual`, or some of `other`, or anything. */
function address(usual: readonly string[], other: readonly string[]): fc.Arbitrary<string> {
  const any = fc.nat(0xffffffff).map((value) => [24, 16, 8, 0].map((by) => (value >>> by) & 255).join('.'));
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(usual[0]!) },
    { weight: 4, arbitrary: fc.constantFrom(...usual) },
    { weight: 3, arbitrary: fc.constantFrom(...other) },
    { weight: 1, arbitrary: any },
  );
}

const fields: fc.Arbitrary<Fields> = fc.record(
  {
    payload: fc.oneof(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 1480 })),
    ttl: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 255 }) }, fc.constant(0)),
    tos: fc.nat(255),
    id: fc.nat(0xffff),
    protocol: fc.constantFrom(1, 6, 6, 17, 17, 4, 47, 255),
    dontFragment: fc.boolean(),
    moreFragments: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
    fragmentOffset: fc.oneof(
      { weight: 9, arbitrary: fc.constant(0) },
      fc.nat(1000).map((n) => n * 8),
    ),
    options: fc.oneof(
      { weight: 9, arbitrary: fc.constant(new Uint8Array(0)) },
      fc.integer({ min: 1, max: 10 }).chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 })),
    ),
  },
  { requiredKeys: ['payload'] },
);

/** `payload` counts behind the header; options take of it. */
function build(source: string, destination: string, given: Fields): Uint8Array {
  const room = given.options?.length ?? 0;
  return packet(source, destination, { ...given, payload: (given.payload ?? 0) + room });
}

/** Bytes changed, cut off, put behind; with the checksums of the headers mended or left. */
interface Damage {
  changes: [at: number, value: number][];
  cut: number;
  padding: number;
  mended: boolean;
}

const damage: fc.Arbitrary<Damage | undefined> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  {
    weight: 2,
    arbitrary: fc.record({
      changes: fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }),
      cut: fc.oneof(fc.constant(0), fc.nat(90)),
      padding: fc.oneof(fc.constant(0), fc.nat(40)),
      mended: fc.boolean(),
    }),
  },
);

function harm(bytes: Uint8Array, given: Damage | undefined, headers: readonly number[]): Uint8Array {
  if (!given) return bytes;
  for (const [at, value] of given.changes) if (at < bytes.length) bytes[at] = value;
  if (given.mended) {
    for (const at of headers) if (bytes.length - at >= 20) bytes.set(withChecksum(bytes.slice(at)), at);
  }
  const left = bytes.slice(0, Math.max(1, bytes.length - given.cut));
  return Uint8Array.of(...left, ...new Uint8Array(given.padding));
}

/** From a container of ours to one of theirs, as the TUN gives them. */
export const innerPackets: fc.Arbitrary<Uint8Array> = fc
  .tuple(address(OURS, [...THEIRS, ...OTHERS]), address(THEIRS, [...OURS, ...OTHERS]), fields, damage)
  .map(([from, to, given, harmed]) => harm(build(from, to, given), harmed, [0]));

/** From a peer to us, as its sockets give them. */
export const outerPackets: fc.Arbitrary<Uint8Array> = fc
  .record({
    from: address(THEIRS, [...OURS, ...OTHERS]),
    to: address(OURS, [...THEIRS, ...OTHERS]),
    sender: address(HOSTS, OTHERS),
    target: address([US], HOSTS),
    inner: fields,
    outer: fields,
    isPlain: fc.boolean(),
    harmed: damage,
  })
  .map(({ from, to, sender, target, inner, outer, isPlain, harmed }) => {
    const carried = build(from, to, inner);
    const around: Fields = { ...outer, protocol: 4 };
    delete around.payload;
    if (isPlain) return harm(tunnelled(sender, target, carried, { tos: inner.tos ?? 0 }), harmed, [20, 0]);
    const room = around.options?.length ?? 0;
    const bytes = packet(sender, target, { ...around, payload: room + carried.length });
    bytes.set(carried, 20 + room);
    return harm(bytes, harmed, [20 + room, 0]);
  });
