/**
 * The kernel's VXLAN device of a fan (host/steps/vxlan-device-step.ts made it): what programs hand over to it leaves in
 * VXLAN, and what comes in VXLAN is there for a program at its ingress. It has its UDP port only while it is up.
 */
import { deviceError } from '../device-error.js';
import { ask } from '../netlink/ask.js';
import { deviceIndex, findDevice } from '../netlink/device-index.js';
import { decodeError, encodeSetLinkUp, MESSAGE, NETLINK_ROUTE } from '../netlink/rtnetlink.js';

export class VxlanDevice {
  readonly index: number;

  private constructor(index: number) {
    this.index = index;
  }

  /** Sets it up. Throws an Error where there is none; with {code, errno, syscall} EADDRINUSE where another has the port. */
  static open(name: string): VxlanDevice {
    const index = deviceIndex(name);
    setUp(index, true);
    return new VxlanDevice(index);
  }

  /** Leaves the port to others: one that an earlier run left up has it still. Well, too, where there is no device. */
  static release(name: string): void {
    const link = findDevice(name);
    if (link) setUp(link.index, false);
  }

  /** Sets it down; it may be gone. */
  close(): void {
    try {
      setUp(this.index, false);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENODEV') throw error;
    }
  }
}

function setUp(index: number, isUp: boolean): void {
  const answer = ask(NETLINK_ROUTE, encodeSetLinkUp(index, isUp));
  const error = answer?.type === MESSAGE.error ? decodeError(answer) : 0;
  if (error < 0) throw deviceError(error, 'RTM_NEWLINK');
}
