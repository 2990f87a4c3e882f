/**
 * The devices of a worker: a TUN for each fan, the ways on and off the underlay, and a receiver of ICMP errors.
 * Opened and closed as the set of fans changes; nothing here looks at a packet.
 */
import { errorText } from '../../base/error.js';
import { overheadOf } from '../../fan/encapsulation.js';
import type { RxDevice, TxDevice } from '../../io/devices/device.js';
import { Envelopes } from '../../io/devices/envelopes.js';
import { IcmpReceiver } from '../../io/devices/raw-socket.js';
import { Tap } from '../../io/devices/tap.js';
import { Tun } from '../../io/devices/tun.js';
import { EarlyChains } from '../../io/netlink/early-chains.js';
import { HostAddresses } from '../../io/netlink/host-addresses.js';
import { IpsecWatch } from '../../io/netlink/ipsec-policies.js';
import { HEADROOM, MAX_PACKET, PacketBatch } from '../../io/packet-batch.js';
import type { Poller } from '../../io/poller.js';
import type { Share } from '../../io/receive-filter.js';
import type { FanIo, FanSpec, IoMode } from '../tables/fan-spec.js';
import { FanPrograms, type KernelPrograms } from './fan-programs.js';
import { Inheritance, type Inherited, type InheritedTun } from './inherited.js';
import { openTunRing } from './tun-ring.js';
import { type UnderlayPort, UnderlayPorts } from './underlay-ports.js';
import { VXLAN_BATCH, VxlanPorts } from './vxlan-ports.js';
import { VxlanPrograms } from './vxlan-programs.js';

/** Packets a batch; a TUN read and a socket call fill at most this many. */
export const BATCH = 64;
/** Fragments need more descriptors than the packets they were cut from. */
export const TX_BATCH = 2048;

/** A TUN, or the TAP of a VXLAN fan. */
export interface FanDevice extends RxDevice, TxDevice {
  /** TUNSETOFFLOAD bits that the kernel accepted. */
  readonly offloads: number;
  /** As InheritedTun.writeFd. */
  readonly writeFd: number;
  mtu: number;
  close(): void;
}

type Way = Pick<FanPort, 'underlay' | 'io' | 'programs' | 'envelopes'>;

/** What stands behind one fan. */
export interface FanPort {
  readonly id: string;
  readonly tun: FanDevice;
  readonly underlay: UnderlayPort;
  readonly io: FanIo;
  /** In the kernel, before the TUN and behind the underlay's device. */
  readonly programs: KernelPrograms | undefined;
  /** What programs leave of what came in over VXLAN; undefined where it comes by a socket. */
  readonly envelopes: Envelopes | undefined;
  /** Decapsulated packets on their way into the TUN; shares the slab of `fromUnderlay`, or of `vxlan.fromUnderlay`. */
  readonly toTun: PacketBatch;
}

/** Poll tokens: 0 wake-up, then these; those of a fan's TUN and of its bridge are first… + its index. */
export const TOKEN = {
  underlay: 1,
  icmp: 2,
  chains: 3,
  addresses: 4,
  policies: 5,
  firstFan: 6,
  firstBridge: 1 << 15,
  ports: 1 << 16,
  vxlan: 1 << 20,
} as const;

export class Ports {
  readonly underlay: UnderlayPorts;
  readonly vxlan: VxlanPorts;
  readonly icmp: IcmpReceiver;
  /** Batch of what the underlay brings; every fan's toTun points into its slab. */
  readonly fromUnderlay: PacketBatch;
  /** Those that programs in the kernel would pass by; undefined where there is none of these, or can't be such chains. */
  chains: EarlyChains | undefined;
  /** Those that programs over VXLAN would pass by; likewise. */
  policies: IpsecWatch | undefined;
  /** Of this host. */
  readonly addresses: HostAddresses;
  readonly #poller: Poller;
  /** Other workers have queues of the same TUNs. */
  readonly #multiQueue: boolean;
  readonly #tunRing = openTunRing();
  #fans: FanPort[] = [];
  /** Descriptors of broken TUNs, until their fans are configured away. */
  readonly #ignored = new Set<number>();
  /** Of the fand before, until begin(). */
  #inheritance: Inheritance | undefined;

  /** `inherited`: devices that another process still reads from, until begin(). */
  constructor(poller: Poller, share: Share, inherited?: Inherited) {
    this.#poller = poller;
    this.#multiQueue = share.count > 1;
    this.#inheritance = inherited && new Inheritance(inherited);
    const tokens = { raw: TOKEN.underlay, ports: TOKEN.ports };
    this.underlay = new UnderlayPorts(poller, share, tokens, this.#inheritance);
    this.addresses = HostAddresses.open();
    this.underlay.refuse(this.addresses.all);
    this.vxlan = new VxlanPorts(poller, TOKEN.vxlan, this.#inheritance);
    this.icmp = inherited ? IcmpReceiver.adopt(inherited.icmp) : IcmpReceiver.open();
    this.fromUnderlay = PacketBatch.create(BATCH, BATCH * (HEADROOM + MAX_PACKET + 4096));
    poller.add(this.icmp.fd, TOKEN.icmp);
    poller.add(this.addresses.fd, TOKEN.addresses);
  }

  /** Descriptors of all receivers, whose drop counters together are the host's. */
  get receiverFds(): number[] {
    return [...this.underlay.receiverFds, ...this.vxlan.receiverFds];
  }

  /** In the order of the specs last configured. */
  get fans(): readonly FanPort[] {
    return this.#fans;
  }

  /** Opens what `specs` needs and closes what it doesn't; on failure everything is as before. */
  configure(specs: readonly FanSpec[]): void {
    const opened: FanPort[] = [];
    try {
      const next = specs.map((spec) => {
        const known = this.#fans.find(({ id }) => id === spec.id);
        if (known) return known;
        const port = this.#open(spec);
        opened.push(port);
        return port;
      });
      this.#watchHost(
        next.some(({ programs }) => programs),
        next.some(({ programs }) => programs?.direct),
      );
      this.#adopt(next);
      this.vxlan.hear(specs);
      next.forEach(({ tun }, index) => {
        tun.mtu = innerMtuOf(specs[index]!);
      });
    } catch (error) {
      for (const port of opened) closePort(port, false);
      this.#retainUnderlay();
      throw error;
    }
  }

  /** All that packets come in by, for a process that reads from it after us. */
  get lent(): Inherited {
    const tuns = this.#fans.map(({ id, tun: { fd, writeFd, offloads } }): [string, InheritedTun] => {
      return [id, { fd, writeFd, offloads }];
    });
    const { raw, receivers } = this.underlay.lent;
    return {
      raw,
      icmp: this.icmp.fd,
      tuns: Object.fromEntries(tuns),
      receivers: { ...receivers, ...this.vxlan.lent },
    };
  }

  /** Nobody else reads from these devices, or changes them, any more. Idempotent. */
  begin(): void {
    this.#inheritance?.close();
    this.#inheritance = undefined;
    this.underlay.begin();
    this.vxlan.begin();
    this.settle();
  }

  /** The programs have been told all that they need: those of another process are not needed any more. */
  settle(): void {
    if (this.#inheritance) return;
    for (const { programs } of this.#fans) programs?.replaceOthers();
  }

  /** Stops watching a broken TUN, which would be reported as readable for ever. */
  ignore({ tun }: FanPort): void {
    this.#poller.remove(tun.fd);
    this.#ignored.add(tun.fd);
  }

  /** What the kernel does by itself for the fans goes on, where it can. */
  close(): void {
    this.#adopt([], true);
    this.#watchHost(false, false);
    this.#poller.remove(this.icmp.fd);
    this.#poller.remove(this.addresses.fd);
    this.addresses.close();
    this.underlay.close();
    this.icmp.close();
    this.#tunRing.ring?.close();
  }

  #open(spec: FanSpec): FanPort {
    const tun = this.#openDevice(spec);
    try {
      const toTun = spec.vxlan
        ? new PacketBatch(VXLAN_BATCH, this.vxlan.fromUnderlay.slab)
        : new PacketBatch(BATCH, this.fromUnderlay.slab);
      return { id: spec.id, tun, toTun, ...this.#openUnderlay(spec) };
    } catch (error) {
      tun.close();
      throw error;
    }
  }

  #openDevice(spec: FanSpec): FanDevice {
    const { id, tun: name } = spec;
    const { ring } = this.#tunRing;
    const options = { mtu: innerMtuOf(spec), multiQueue: this.#multiQueue, ring };
    const inherited = this.#inheritance?.takeTun(id);
    if (!inherited) {
      return spec.vxlan ? Tap.open(name, options.mtu, this.#multiQueue, ring) : Tun.open(name, options);
    }
    const { fd, writeFd, offloads } = inherited;
    const info = { fd, name, offloads };
    return spec.vxlan ? Tap.adopt(info, options.mtu, ring) : Tun.adopt(info, writeFd, options);
  }

  /** By the first way that works; throws what the last one said. */
  #openUnderlay(spec: FanSpec): Way {
    const passedOver = [...spec.ioNotes];
    for (const mode of spec.io.slice(0, -1)) {
      try {
        return this.#openBy(spec, mode, passedOver);
      } catch (error) {
        passedOver.push(`${mode}: ${errorText(error)}`);
      }
    }
    return this.#openBy(spec, spec.io.at(-1)!, passedOver);
  }

  #openBy(spec: FanSpec, mode: IoMode, passedOver: readonly string[]): Way {
    const underlay = spec.vxlan ? this.vxlan.open(spec, mode) : this.underlay.open(spec, mode);
    const programs = mode === 'bpf' ? this.#attach(spec, underlay) : undefined;
    const { receiverGroup, cuts } = underlay;
    // With io bpf few packets come this way.
    const ringNotes = programs ? [] : this.#tunRing.notes;
    const notes = [...passedOver, ...underlay.notes, ...(programs?.notes ?? []), ...ringNotes];
    const decapAt = programs?.decap?.devices;
    const { hopsIndex: underlayIndex } = underlay;
    const vxlanIndex = spec.vxlan && programs?.encapTo;
    const io = { mode, notes, receiverGroup, cuts, decapAt, vxlanIndex, underlayIndex };
    return { underlay, programs, envelopes: envelopesOf(spec, mode), io };
  }

  #attach(spec: FanSpec, { deviceIndex }: UnderlayPort): KernelPrograms {
    if (spec.vxlan) return VxlanPrograms.attach(spec, this.#inheritance !== undefined);
    return FanPrograms.attach(spec, deviceIndex!);
  }

  #adopt(next: FanPort[], goOn = false): void {
    for (const { tun, programs } of this.#fans) {
      if (!this.#ignored.has(tun.fd)) this.#poller.remove(tun.fd);
      if (programs?.decap?.exit) this.#poller.remove(programs.decap.exit.fd);
    }
    for (const port of this.#fans) {
      if (next.includes(port)) continue;
      this.#ignored.delete(port.tun.fd);
      closePort(port, goOn);
    }
    next.forEach(({ tun, programs }, index) => {
      if (!this.#ignored.has(tun.fd)) this.#poller.add(tun.fd, TOKEN.firstFan + index);
      if (programs?.decap?.exit) this.#poller.add(programs.decap.exit.fd, TOKEN.firstBridge + index);
    });
    this.#fans = next;
    this.#retainUnderlay();
  }

  #watchHost(chains: boolean, policies: boolean): void {
    this.chains = this.#watch(chains, this.chains, EarlyChains.open, TOKEN.chains);
    this.policies = this.#watch(policies, this.policies, IpsecWatch.open, TOKEN.policies);
  }

  #watch<T extends Watch>(wanted: boolean, now: T | undefined, open: () => T, token: number): T | undefined {
    if (wanted === (now !== undefined)) return now;
    if (now) {
      this.#poller.remove(now.fd);
      now.close();
      return undefined;
    }
    try {
      const watch = open();
      this.#poller.add(watch.fd, token);
      return watch;
    } catch (error) {
      // There can be none of it.
      if ((error as NodeJS.ErrnoException).code !== 'EPROTONOSUPPORT') throw error;
      return undefined;
    }
  }

  #retainUnderlay(): void {
    const used = this.#fans.map(({ underlay }) => underlay);
    this.underlay.retain(used);
    this.vxlan.retain(used);
  }
}

/** What the kernel tells of the host. */
interface Watch {
  readonly fd: number;
  close(): void;
}

/** MTU of TUN or TAP. */
function innerMtuOf({ underlayMtu, vxlan }: FanSpec): number {
  return underlayMtu - overheadOf(vxlan);
}

function envelopesOf({ kernelVxlan, mapping }: FanSpec, mode: IoMode): Envelopes | undefined {
  return kernelVxlan && mode !== 'raw' ? new Envelopes(kernelVxlan.cookie, mapping.address) : undefined;
}

/** The underlay's part is shared: UnderlayPorts closes it. */
function closePort({ tun, programs }: FanPort, goOn: boolean): void {
  programs?.detach(goOn);
  tun.close();
}
