/**
 * Chains of nftables that a packet meets only on its way through the daemon, and passes by where a program in the kernel
 * decapsulates it (`--io bpf`): those at the ingress of the underlay's device, which come after the program, and those
 * of bridges; or where one encapsulates it: those at the egress of that device. Asked of the kernel (nfnetlink,
 * linux/netfilter/nf_tables.h). Their own fields are in network byte order.
 */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { askAll } from './ask.js';
import {
  decodeAttributes,
  decodeMessages,
  encode,
  listAttributes,
  type Message,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  textOf,
} from './rtnetlink.js';

export const NETLINK_NETFILTER = 12;
/** NFNLGRP_NFTABLES, as a bit of netlinkOpen. */
export const GROUP_NFTABLES = 1 << 6;
/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_… */
const NEW_TABLE = 0x0a00;
const DEL_TABLE = 0x0a02;
const NEW_CHAIN = 0x0a03;
const GET_CHAIN = 0x0a04;
const DEL_CHAIN = 0x0a05;
const CHANGES: readonly number[] = [NEW_TABLE, DEL_TABLE, NEW_CHAIN, DEL_CHAIN];
const NEW_RULE = 0x0a06;
const DEL_RULE = 0x0a08;
const ENOBUFS = 105;
const EMSGSIZE = 90;
const BUFFER_BYTES = 1 << 16;
/** nfgenmsg: u8 family, u8 version, u16 resource. */
const BODY_LEN = 4;
const FAMILY = { inet: 1, netdev: 5, bridge: 7 } as const;
const CHAIN = { table: 1, name: 3, hook: 4 } as const;
const HOOK = { number: 1, device: 3, devices: 4 } as const;
/** Of isolate-rules.ts and layer2-guard-step.ts. */
const OWN_BRIDGE_TABLE = 'ufan-';
const NETDEV_INGRESS = 0;
const NETDEV_EGRESS = 1;
const INET_INGRESS = 5;

export type Way = 'in' | 'out';

export interface EarlyChain {
  /** "netdev filter ingress". */
  readonly name: string;
  readonly way: Way;
  /** At whose ingress, or egress; undefined for one of bridges. */
  readonly devices: readonly string[] | undefined;
}

/** Whether a notification of this type is of tables, chains or rules that have come, changed or gone. */
export function isRuleChange(type: number): boolean {
  return CHANGES.includes(type) || type === NEW_RULE || type === DEL_RULE;
}

/** Those that there are, kept current by the kernel's notifications. */
export class EarlyChains {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  /** Undefined where the kernel could not be asked. */
  #chains: readonly EarlyChain[] | undefined;

  private constructor(fd: number) {
    this.fd = fd;
    this.#read();
  }

  /** Throws an Error with {code, errno, syscall}: EPROTONOSUPPORT where the kernel has no such chains. */
  static open(): EarlyChains {
    return new EarlyChains(native.netlinkOpen(NETLINK_NETFILTER, GROUP_NFTABLES));
  }

  /** Whether a packet in, or out, by `device` would pass one by, as far as is known. */
  mayBePassedBy(device: string, way: Way): boolean {
    return this.#chains === undefined || chainPassedBy(this.#chains, device, way) !== undefined;
  }

  /** Throws an Error with {code, errno, syscall} where the socket is broken. */
  takeNotifications(): void {
    let isChanged = this.#chains === undefined;
    for (;;) {
      const length = native.netlinkReceive(this.fd, this.#buffer);
      if (length === 0) break;
      if (length === -ENOBUFS || length === -EMSGSIZE) isChanged = true;
      else if (length < 0) throw deviceError(length, 'recv');
      else
        isChanged ||= decodeMessages(this.#buffer.subarray(0, length)).some(({ type }) =>
          CHANGES.includes(type),
        );
    }
    if (isChanged) this.#read();
  }

  close(): void {
    native.close(this.fd);
  }

  #read(): void {
    try {
      this.#chains = readEarlyChains();
    } catch {
      this.#chains = undefined;
    }
  }
}

/** Throws an Error with {code, errno, syscall}; none where the kernel has no nftables. */
export function readEarlyChains(): EarlyChain[] {
  const chains: EarlyChain[] = [];
  try {
    askAll(NETLINK_NETFILTER, encodeGetChains(), (message) => chains.push(...decodeEarlyChain(message)));
  } catch (error) {
    if (!['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  return chains;
}

/** The chain that a packet in, or out, by `device` would pass by; undefined where there is none. */
export function chainPassedBy(chains: readonly EarlyChain[], device: string, way: Way): string | undefined {
  return chains.find(
    (chain) => chain.way === way && (chain.devices?.some((each) => isMeant(each, device)) ?? true),
  )?.name;
}

export function encodeGetChains(): Uint8Array {
  return encode(GET_CHAIN, new Uint8Array(BODY_LEN), [], NLM_F_REQUEST | NLM_F_DUMP);
}

/** One where the message is of such a chain. */
export function decodeEarlyChain({ type, body }: Message): EarlyChain[] {
  if (type !== NEW_CHAIN || body.byteLength < BODY_LEN) return [];
  const attributes = decodeAttributes(body, BODY_LEN);
  const hook = attributes.get(CHAIN.hook);
  if (!hook) return [];
  const hooked = decodeAttributes(hook, 0);
  const family = body.getUint8(0);
  const number = hooked.get(HOOK.number)?.getUint32(0);
  const isEgress = family === FAMILY.netdev && number === NETDEV_EGRESS;
  const isIngress =
    (family === FAMILY.netdev && number === NETDEV_INGRESS) ||
    (family === FAMILY.inet && number === INET_INGRESS);
  if (!isIngress && !isEgress && family !== FAMILY.bridge) return [];
  const kind = Object.entries(FAMILY).find(([, value]) => value === family)![0];
  const table = textOf(attributes.get(CHAIN.table));
  // Ours look at what ports send, which goes the other way.
  if (family === FAMILY.bridge && table.startsWith(OWN_BRIDGE_TABLE)) return [];
  const name = `${kind} ${table} ${textOf(attributes.get(CHAIN.name))}`;
  const devices = family === FAMILY.bridge ? undefined : devicesOf(hooked);
  return [{ name, way: isEgress ? 'out' : 'in', devices }];
}

function devicesOf(hook: ReadonlyMap<number, DataView>): string[] {
  const several = hook.get(HOOK.devices);
  return several
    ? listAttributes(several, 0).map(([, name]) => textOf(name))
    : [textOf(hook.get(HOOK.device))];
}

/** A name may end in '*', as one of several devices. */
function isMeant(name: string, device: string): boolean {
  return name.endsWith('*') ? device.startsWith(name.slice(0, -1)) : name === device;
}
