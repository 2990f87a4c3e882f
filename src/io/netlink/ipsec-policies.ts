/** Whether this host has IPsec policies for packets on their way out, asked of the kernel (XFRM, ip-xfrm(8)). */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { ask } from './ask.js';
import { decodeAttributes, encode, LITTLE, type Message } from './rtnetlink.js';

const NETLINK_XFRM = 6;
/** XFRMNLGRP_POLICY, as a bit of netlinkOpen. */
const GROUP_POLICY = 1 << 4;
const ENOBUFS = 105;
const EMSGSIZE = 90;
const BUFFER_BYTES = 1 << 14;
const NEW_SPD_INFO = 36;
const GET_SPD_INFO = 37;
/** Flags, of which there are none. */
const BODY_LEN = 4;
/** xfrmu_spdinfo, counts as u32: in, out, … */
const XFRMA_SPD_INFO = 1;
const OUT_AT = 4;

export class IpsecPolicies {
  /** Asked once more, a kernel without XFRM would start modprobe once more. */
  #unsupported = false;

  /** Throws an Error with {code, errno, syscall} where the kernel can't be asked. */
  exist(): boolean {
    if (this.#unsupported) return false;
    try {
      return countOutgoing(ask(NETLINK_XFRM, encodeGetCounts())) > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPROTONOSUPPORT') throw error;
      this.#unsupported = true;
      return false;
    }
  }
}

/** The same, kept current by the kernel's notifications. */
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
    return new IpsecWatch(native.netlinkOpen(NETLINK_XFRM, GROUP_POLICY));
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
      this.#exist = this.#policies.exist();
    } catch {
      this.#exist = true;
    }
  }
}

export function encodeGetCounts(): Uint8Array {
  return encode(GET_SPD_INFO, new Uint8Array(BODY_LEN), []);
}

/** What an answer says; an error says that there are none. */
export function countOutgoing(answer: Message | undefined): number {
  if (answer?.type !== NEW_SPD_INFO) return 0;
  const counts = decodeAttributes(answer.body, BODY_LEN).get(XFRMA_SPD_INFO);
  return counts && counts.byteLength >= OUT_AT + 4 ? counts.getUint32(OUT_AT, LITTLE) : 0;
}
