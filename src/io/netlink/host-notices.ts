/**
 * What the kernel says of changes on this host that a fan may have to do with: links, IPv4 addresses, routes, policy
 * rules, settings and traffic control (rtnetlink(7), linux/netconf.h), and the rules of nftables. The old iptables says
 * nothing.
 *
 * For the main thread, whose event loop says when there is something (whenSaid); it takes in what there is.
 */
import { deviceError } from '../device-error.js';
import { native, type ReadableWatch } from '../native.js';
import { GROUP_NFTABLES, isRuleChange, NETLINK_NETFILTER } from './early-chains.js';
import {
  decodeAddressDevice,
  decodeDestination,
  decodeLinkRole,
  decodeMessages,
  decodeSettingsDevice,
  GROUP,
  isOfBridges,
  type LinkRole,
  MESSAGE,
  type Message,
  NETLINK_ROUTE,
} from './rtnetlink.js';

const BUFFER_BYTES = 1 << 16;
const ENOBUFS = 105;
const EMSGSIZE = 90;

export type Notice =
  /** `isPortState`: told by its bridge, as whenever a timer of the port ends. */
  | { readonly of: 'link'; readonly link: LinkRole; readonly isGone: boolean; readonly isPortState: boolean }
  /** Of the device with this index; of settings, a negative one is of all. */
  | { readonly of: 'address' | 'settings'; readonly device: number }
  /** Host-order u32 and bits. */
  | { readonly of: 'route'; readonly base: number; readonly length: number }
  | { readonly of: 'policy' | 'firewall' | 'traffic-control' }
  /** More was said than we took in. */
  | { readonly of: 'anything' };

export class HostNotices {
  readonly #sockets: readonly { readonly fd: number; decode(message: Message): Notice | undefined }[];
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #watches: readonly ReadableWatch[] | undefined;

  private constructor(route: number, netfilter: number | undefined) {
    this.#sockets = [
      { fd: route, decode: decodeRouteNotice },
      ...(netfilter === undefined ? [] : [{ fd: netfilter, decode: decodeFirewallNotice }]),
    ];
  }

  /** Throws an Error with {code, errno, syscall}. */
  static open(): HostNotices {
    const { link, trafficControl, ipv4Address, ipv4Route, ipv4Rule, ipv4Settings } = GROUP;
    const groups = link | trafficControl | ipv4Address | ipv4Route | ipv4Rule | ipv4Settings;
    const route = native.netlinkOpen(NETLINK_ROUTE, groups);
    try {
      return new HostNotices(route, openNetfilter());
    } catch (error) {
      native.close(route);
      throw error;
    }
  }

  /** All since the last call, in order, those of nftables last. Throws an Error where a socket is broken. */
  take(): Notice[] {
    return this.#sockets.flatMap(({ fd, decode }) => {
      const notices: Notice[] = [];
      for (;;) {
        const length = native.netlinkReceive(fd, this.#buffer);
        if (length === 0) return notices;
        if (length === -ENOBUFS || length === -EMSGSIZE) notices.push({ of: 'anything' });
        else if (length < 0) throw deviceError(length, 'recv');
        else notices.push(...noticesIn(this.#buffer.subarray(0, length), decode));
      }
    });
  }

  /** Calls `callback` of the first call, soon, where something was said since the last take(): once for each call. */
  whenSaid(callback: () => void): void {
    for (const watch of this.#watches ?? []) native.readableAgain(watch);
    this.#watches ??= this.#sockets.map(({ fd }) => native.readableWatch(fd, callback));
  }

  close(): void {
    for (const watch of this.#watches ?? []) native.readableEnd(watch);
    for (const { fd } of this.#sockets) native.close(fd);
  }
}

/** Undefined where the kernel has no nftables. */
function openNetfilter(): number | undefined {
  try {
    return native.netlinkOpen(NETLINK_NETFILTER, GROUP_NFTABLES);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPROTONOSUPPORT') throw error;
    return undefined;
  }
}

function noticesIn(bytes: Uint8Array, decode: (message: Message) => Notice | undefined): Notice[] {
  return decodeMessages(bytes)
    .map(decode)
    .filter((notice) => notice !== undefined);
}

export function decodeRouteNotice(message: Message): Notice | undefined {
  const { newLink, delLink, newAddress, delAddress, newRoute, delRoute } = MESSAGE;
  const { newRule, delRule, newSettings, delSettings, newQdisc, delQdisc } = MESSAGE;
  switch (message.type) {
    case newLink:
    case delLink: {
      const link = decodeLinkRole(message);
      if (!link) return undefined;
      const isNew = message.type === newLink;
      // A port that leaves a bridge is told of as gone, by that bridge.
      const isGone = !isNew && link.master === 0;
      return { of: 'link', link, isGone, isPortState: isNew && isOfBridges(message) };
    }
    case newAddress:
    case delAddress: {
      const device = decodeAddressDevice(message);
      return device === undefined ? undefined : { of: 'address', device };
    }
    case newRoute:
    case delRoute: {
      const destination = decodeDestination(message);
      return destination && { of: 'route', ...destination };
    }
    case newSettings:
    case delSettings:
      return { of: 'settings', device: decodeSettingsDevice(message) ?? -1 };
    case newRule:
    case delRule:
      return { of: 'policy' };
    case newQdisc:
    case delQdisc:
      return { of: 'traffic-control' };
    default:
      return undefined;
  }
}

/** Elements of sets come and go by the thousand on some hosts: they are not told of. */
function decodeFirewallNotice({ type }: Message): Notice | undefined {
  return isRuleChange(type) ? { of: 'firewall' } : undefined;
}
