/** Whether this host has IPsec policies, asked of the kernel (XFRM, ip-xfrm(8)). */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { ask } from './ask.js';
import { decodeAttributes, encode, LITTLE, type Message } from './rtnetlink.js';

const NETLINK_XFRM = 6;
/** XFRMNLGRP_POLICY, and XFRMNLGRP_EXPIRE for those whose time is over, as bits of netlinkOpen. */
const GROUP_POLICY = 1 << 3;
const GROUP_EXPIRE = 1 << 1;
const ENOBUFS = 105;
const EMSGSIZE = 90;
const BUFFER_BYTES = 1 << 14;
const NEW_SPD_INFO = 36;
const GET_SPD_INFO = 37;
const GET_DEFAULT = 40;
/** Flags, of which there are none. */
const BODY_LEN = 4;
/** xfrmu_spdinfo, counts as u32: in, out, … */
const XFRMA_SPD_INFO = 1;
const IN_AT = 0;
const OUT_AT = 4;
/** xfrm_userpolicy_default: a byte each for in, forward and out. */
const DEFAULTS = 3;
const BLOCK = 1;

export class IpsecPolicies {
  /** Asked once more, a kernel without XFRM would start modprobe once more. */
  #unsupported = false;

  /** For packets on their way out. Throws an Error with {code, errno, syscall} where the kernel can't be asked. */
  exist(): boolean {
    return this.#ask(() => countPolicies(ask(NETLINK_XFRM, encodeGetCounts())).outgoing > 0);
  }

  /** Whichever way, or that what no policy is for is not let through; throws as exist(). */
  existAnyWay(): boolean {
    return this.#ask(() => {
      const { incoming, outgoing } = countPolicies(ask(NETLINK_XFRM, encodeGetCounts()));
      return incoming + outgoing > 0 || isBlockedElse(ask(NETLINK_XFRM, encodeGetDefaults()));
    });
  }

  #ask(question: () => boolean): boolean {
    if (this.#unsupported) return false;
    try {
      return question();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPROTONOSUPPORT') throw error;
      this.#unsupported = true;
      return false;
    }
  }
}

/** Any way, kept current by the kernel's notifications. */
export class IpsecWatch {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #policies = new IpsecPolicies();
  #exist = true;

  private constructor(fd: number) {
    this.fd = fd;
    this.#read();
  }

  /** Throws an Error with {code, errno, syscall}: EPROTONOSUPPORT where the kernel has no IPsec. */
  static open(): IpsecWatch {
    return new IpsecWatch(native.netlinkOpen(NETLINK_XFRM, GROUP_POLICY | GROUP_EXPIRE));
  }

  /** True, too, where the kernel could not be asked. */
  get exist(): boolean {
    return this.#exist;
  }

  /** Throws an Error with {code, errno, syscall} where the socket is broken. */
  takeNotifications(): void {
    for (;;) {
      const length = native.netlinkReceive(this.fd, this.#buffer);
      if (length === 0) break;
      if (length < 0 && length !== -ENOBUFS && length !== -EMSGSIZE) throw deviceError(length, 'recv');
    }
    this.#read();
  }

  close(): void {
    native.close(this.fd);
  }

  #read(): void {
    try {
      this.#exist = this.#policies.existAnyWay();
    } catch {
      this.#exist = true;
    }
  }
}

export function encodeGetCounts(): Uint8Array {
  return encode(GET_SPD_INFO, new Uint8Array(BODY_LEN), []);
}

export function encodeGetDefaults(): Uint8Array {
  return encode(GET_DEFAULT, new Uint8Array(BODY_LEN), []);
}

/** What an answer says; an error says that there are none. */
export function countPolicies(answer: Message | undefined): { incoming: number; outgoing: number } {
  const none = { incoming: 0, outgoing: 0 };
  if (answer?.type !== NEW_SPD_INFO) return none;
  const counts = decodeAttributes(answer.body, BODY_LEN).get(XFRMA_SPD_INFO);
  if (!counts || counts.byteLength < OUT_AT + 4) return none;
  return { incoming: counts.getUint32(IN_AT, LITTLE), outgoing: counts.getUint32(OUT_AT, LITTLE) };
}

/** Whether it may come in, or go out, only by a policy; before Linux 5.15 never. */
export function isBlockedElse(answer: Message | undefined): boolean {
  if (answer?.type !== GET_DEFAULT || answer.body.byteLength < DEFAULTS) return false;
  return answer.body.getUint8(0) === BLOCK || answer.body.getUint8(DEFAULTS - 1) === BLOCK;
}
