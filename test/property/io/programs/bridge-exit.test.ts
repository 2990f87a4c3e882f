/**
 * BridgeExit over a kernel in memory: whatever happens to a bridge, and whatever notification is lost or late, the
 * program ends up with the bridge's own entries, and at no time does it know a port that is of no bridge.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { decodeMessages, encode, LITTLE, MESSAGE } from '../../../../src/io/netlink/rtnetlink.js';
import { BridgeExit } from '../../../../src/io/programs/bridge-exit.js';

const kernel = vi.hoisted(() => ({ native: {} as Record<string, (...args: never[]) => unknown> }));
vi.mock('../../../../src/io/native.js', () => kernel);

const BRIDGE = 2;
const OTHER_BRIDGE = 3;
const TUN = 9;
const UNDERLAY = 8;
const VETHS = [10, 11, 12];
const TAP = 13;
const PORTS = [...VETHS, TAP];
const NOTIFICATIONS = 1;
const ENOBUFS = 105;
const EMFILE = 24;
const STATE = { reachable: 2, stale: 4, permanent: 0x80, noarp: 0x40 };

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u16 = (value: number) => new Uint8Array(Uint16Array.of(value).buffer);
const text = (value: string) => new TextEncoder().encode(`${value}\0`);
const macOf = (n: number) => Uint8Array.of(2, 0, 0, 0, 0, n);
const keyOf = (n: number) => Buffer.from(macOf(n)).toString('hex');

interface Entry {
  port: number;
  state: number;
}

/** What the kernel knows, and has said. */
class Kernel {
  readonly entries = new Map<number, Entry>();
  readonly masters = new Map<number, number>(PORTS.map((port) => [port, BRIDGE]));
  readonly blocked = new Set<number>();
  vlanFiltering = false;
  /** What shapes the bridge, if anything does. */
  shaper: string | undefined;
  /** Of the socket for notifications: datagrams, or a negative errno. */
  readonly said: (Uint8Array | number)[] = [];
  /** The program's map. */
  readonly program = new Map<string, number>();
  room = 4096;
  /** Whether a socket can't be opened now. */
  refuses = false;
  readonly #answers = new Map<number, Uint8Array[]>();
  #fds = NOTIFICATIONS;

  constructor() {
    Object.assign(kernel.native, {
      netlinkOpen: (_protocol: number, groups: number) => {
        if (this.refuses) throw Object.assign(new Error('socket'), { errno: EMFILE });
        return groups === 0 ? ++this.#fds : NOTIFICATIONS;
      },
      netlinkSend: (fd: number, bytes: Uint8Array) => {
        this.#answers.set(fd, this.#answer(bytes));
        return 0;
      },
      netlinkReceive: (fd: number, buffer: Uint8Array) => {
        const next = (fd === NOTIFICATIONS ? this.said : this.#answers.get(fd)!).shift();
        if (typeof next === 'object') buffer.set(next);
        return typeof next === 'object' ? next.length : (next ?? 0);
      },
      bridgeExitAttach: () => ({ link: 1000, ports: 1001 }),
      bridgeExitSetPort: (_fd: number, mac: Uint8Array, port: number) => {
        const key = Buffer.from(mac).toString('hex');
        if (port === 0) this.program.delete(key);
        else if (!this.program.has(key) && this.program.size === this.room) return -7;
        else this.program.set(key, port);
        return 0;
      },
      close: () => {},
    });
  }

  learn(mac: number, port: number, state = STATE.reachable): void {
    if (this.masters.get(port) !== BRIDGE) return;
    this.entries.set(mac, { port, state });
    this.said.push(this.entryMessage(MESSAGE.newNeighbour, mac, port, state));
  }

  forget(mac: number): void {
    const entry = this.entries.get(mac);
    if (!entry || !this.entries.delete(mac)) return;
    this.said.push(this.entryMessage(MESSAGE.delNeighbour, mac, entry.port, entry.state));
  }

  enslave(port: number, bridge: number, isGone = false): void {
    for (const [mac, entry] of this.entries) if (entry.port === port) this.forget(mac);
    this.masters.set(port, bridge);
    this.said.push(this.#linkMessage(port, isGone ? MESSAGE.delLink : MESSAGE.newLink));
  }

  block(port: number, on: boolean): void {
    if (on) this.blocked.add(port);
    else this.blocked.delete(port);
    this.said.push(this.#linkMessage(port, MESSAGE.newLink));
  }

  shape(kind: string | undefined): void {
    this.shaper = kind;
    this.said.push(this.#qdiscMessage(BRIDGE, kind ?? 'noqueue', MESSAGE.newQdisc));
  }

  filterVlans(on: boolean): void {
    this.vlanFiltering = on;
    this.said.push(this.#linkMessage(BRIDGE, MESSAGE.newLink));
  }

  /** What has been said from now on, up to the next that is read, is lost. */
  overflow(lost: number): void {
    this.said.splice(this.said.length - Math.min(lost, this.said.length));
    this.said.unshift(-ENOBUFS);
  }

  expected(): Map<string, number> {
    const usable = [...this.entries].filter(
      ([, { port, state }]) =>
        VETHS.includes(port) && !this.blocked.has(port) && state !== STATE.permanent && !this.vlanFiltering,
    );
    return new Map(usable.map(([mac, { port }]) => [keyOf(mac), port]));
  }

  entryMessage(
    type: number,
    mac: number,
    port: number,
    state: number,
    bridge = BRIDGE,
    vlan = 0,
  ): Uint8Array {
    const body = new Uint8Array(12);
    body[0] = 7;
    body.set(u32(port), 4);
    body.set(u16(state), 8);
    const attributes: [number, Uint8Array][] = [
      [2, macOf(mac)],
      [9, u32(bridge)],
    ];
    return encode(type, body, vlan === 0 ? attributes : [...attributes, [5, u16(vlan)]]);
  }

  #linkMessage(index: number, type: number): Uint8Array {
    const body = new Uint8Array(16);
    body.set(u32(index), 4);
    body.set(u32(1), 8); // it is up
    const kind = index === BRIDGE ? 'bridge' : VETHS.includes(index) ? 'veth' : 'tun';
    const data = encode(0, new Uint8Array(0), [[7, Uint8Array.of(this.vlanFiltering ? 1 : 0)]]).subarray(16);
    const state = encode(0, new Uint8Array(0), [
      [1, Uint8Array.of(this.blocked.has(index) ? 4 : 3)],
    ]).subarray(16);
    const info = encode(0, new Uint8Array(0), [
      [5, PORTS.includes(index) ? state : new Uint8Array(0)],
      [1, text(kind)],
      [2, index === BRIDGE ? data : new Uint8Array(0)],
    ]).subarray(16);
    return encode(type, body, [
      [10, u32(this.masters.get(index) ?? 0)],
      [18, info],
    ]);
  }

  #qdiscMessage(device: number, kind: string, type: number): Uint8Array {
    const body = new Uint8Array(20);
    body.set(u32(device), 4);
    return encode(type, body, [[1, text(kind)]]);
  }

  #answer(request: Uint8Array): Uint8Array[] {
    const [message] = decodeMessages(request);
    if (message!.type === MESSAGE.getQdisc) {
      const kinds: [number, string][] = [
        [UNDERLAY, 'fq_codel'],
        [TUN, 'clsact'],
        [BRIDGE, this.shaper ?? 'noqueue'],
      ];
      const qdiscs = kinds.map(([device, kind]) => this.#qdiscMessage(device, kind, MESSAGE.newQdisc));
      return [...qdiscs, encode(MESSAGE.done, u32(0), [])];
    }
    if (message!.type === MESSAGE.getLink)
      return [this.#linkMessage(message!.body.getInt32(4, LITTLE), MESSAGE.newLink)];
    const entries = [...this.entries].map(([mac, { port, state }]) =>
      this.entryMessage(MESSAGE.newNeighbour, mac, port, state),
    );
    return [...entries, encode(MESSAGE.done, u32(0), [])];
  }
}

const someMac = fc.integer({ min: 1, max: 4 });
const somePort = fc.constantFrom(...PORTS);
type Happening = (kernel: Kernel, exit: BridgeExit) => void;

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.tuple(someMac, somePort, fc.constantFrom(...Object.values(STATE))).map(
    ([mac, port, state]): Happening =>
      (linux) =>
        linux.learn(mac, port, state),
  ),
  someMac.map(
    (mac): Happening =>
      (linux) =>
        linux.forget(mac),
  ),
  fc.tuple(somePort, fc.constantFrom(BRIDGE, OTHER_BRIDGE, 0), fc.boolean()).map(
    ([port, bridge, isGone]): Happening =>
      (linux) =>
        linux.enslave(port, isGone ? 0 : bridge, isGone),
  ),
  fc.boolean().map(
    (on): Happening =>
      (linux) =>
        linux.filterVlans(on),
  ),
  fc.tuple(somePort, fc.boolean()).map(
    ([port, on]): Happening =>
      (linux) =>
        linux.block(port, on),
  ),
  fc.constantFrom('tbf', 'clsact', undefined).map(
    (kind): Happening =>
      (linux) =>
        linux.shape(kind),
  ),
  fc.nat(5).map(
    (lost): Happening =>
      (linux) =>
        linux.overflow(lost),
  ),
  fc.tuple(someMac, somePort).map(
    ([mac, port]): Happening =>
      (linux) =>
        linux.said.push(linux.entryMessage(MESSAGE.newNeighbour, mac, port, STATE.reachable, OTHER_BRIDGE)),
  ),
  fc.tuple(someMac, somePort, fc.constantFrom(MESSAGE.newNeighbour, MESSAGE.delNeighbour)).map(
    ([mac, port, type]): Happening =>
      (linux) =>
        linux.said.push(linux.entryMessage(type, mac, port, STATE.reachable, BRIDGE, 10)),
  ),
  fc.boolean().map(
    (refuses): Happening =>
      (linux, exit) => {
        linux.refuses = refuses;
        exit.takeNotifications();
        expect(linux.program).toEqual(exit.ports);
      },
  ),
);

describe('BridgeExit', () => {
  it('knows what the bridge knows, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(someMac, somePort), { maxLength: 3 }),
        fc.array(happening, { maxLength: 30 }),
        (before, happenings) => {
          const linux = new Kernel();
          for (const [mac, port] of before) linux.learn(mac, port);
          const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
          expect(exit.ports).toEqual(linux.expected());
          for (const happens of happenings) happens(linux, exit);
          linux.refuses = false;
          exit.takeNotifications();
          // A second one where the first could not ask.
          exit.takeNotifications();
          expect(exit.ports).toEqual(linux.expected());
          expect(linux.program).toEqual(linux.expected());
          expect(exit.isOpen).toBe(linux.shaper === undefined);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('keeps the newer port of an address where the older one is deleted afterwards', () => {
    const linux = new Kernel();
    linux.learn(1, 10);
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    linux.learn(1, 11);
    linux.said.push(linux.entryMessage(MESSAGE.delNeighbour, 1, 10, STATE.reachable));
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map([[keyOf(1), 11]]));
  });

  it('knows no port while it is shut, and then those that there are', () => {
    const linux = new Kernel();
    linux.learn(1, 10);
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    exit.shut(true);
    linux.learn(2, 10);
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map());
    linux.learn(1, 11);
    exit.shut(false);
    expect(linux.program).toEqual(linux.expected());
    exit.takeNotifications();
    expect(linux.program).toEqual(linux.expected());
    expect(linux.program.size).toBe(2);
  });

  it('believes nothing that waited behind a loss', () => {
    const linux = new Kernel();
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    linux.learn(1, 10);
    linux.learn(1, 11);
    // Only the first of the two was kept.
    linux.overflow(1);
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map([[keyOf(1), 11]]));
  });

  it('forgets a port that left although its entry was heard of after that', () => {
    const linux = new Kernel();
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    linux.learn(1, 10);
    exit.takeNotifications();
    const late = linux.entryMessage(MESSAGE.newNeighbour, 1, 10, STATE.reachable);
    linux.forget(1);
    linux.said.push(late);
    linux.enslave(10, 0);
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map());
  });

  it('is shut once the bridge was deleted, and while the TUN is down', () => {
    const linux = new Kernel();
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    const say = (index: number, type: number, flags: number, master = 0) => {
      const body = new Uint8Array(16);
      body.set(u32(index), 4);
      body.set(u32(flags), 8);
      linux.said.push(encode(type, body, [[10, u32(master)]]));
      exit.takeNotifications();
      return exit.isOpen;
    };
    expect(say(TUN, MESSAGE.newLink, 0)).toBe(false);
    expect(say(TUN, MESSAGE.newLink, 1)).toBe(true);
    // It left another bridge.
    expect(say(UNDERLAY, MESSAGE.delLink, 1, OTHER_BRIDGE)).toBe(true);
    expect(say(BRIDGE, MESSAGE.delLink, 1)).toBe(false);
    expect(say(BRIDGE, MESSAGE.newLink, 1)).toBe(false);
  });

  it('asks again about a port that comes back', () => {
    const linux = new Kernel();
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    linux.learn(1, 10);
    linux.enslave(10, 0);
    exit.takeNotifications();
    linux.enslave(10, BRIDGE);
    linux.learn(1, 10);
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map([[keyOf(1), 10]]));
  });

  it('leaves to the bridge what there is no room for, without a socket, and after its end', () => {
    const linux = new Kernel();
    linux.room = 1;
    linux.learn(1, 10);
    const exit = BridgeExit.attach({ bridge: BRIDGE, tun: TUN, underlay: UNDERLAY });
    linux.learn(2, 10);
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map([[keyOf(1), 10]]));
    linux.learn(1, 11);
    linux.refuses = true;
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map());
    linux.refuses = false;
    exit.takeNotifications();
    expect(linux.program).toEqual(new Map([[keyOf(1), 11]]));
    linux.said.push(-5);
    expect(() => exit.takeNotifications()).toThrow(expect.objectContaining({ code: 'EIO', errno: 5 }));
  });
});
