/**
 * When a device passes packets. One that gets its carrier while it is up, as a TUN does when it is attached to, drops
 * what is sent by it, uncounted, until the kernel's link watch has seen the carrier and started the queues. Asked for
 * that one device, a kernel since 6.8 does so before it answers; an older one does it soon, and says so by the state.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../../base/error.js';
import { findDevice } from './device-index.js';
import { OPER_UP } from './rtnetlink.js';

/** The link watch waits for a CPU, and for whoever changes a device at this moment. */
const LONGEST_MS = 5000;
const POLL_MS = 5;

/** Waits until what is sent by the device goes through. Throws FanError step-failed where it doesn't come to that. */
export async function awaitActive(device: string): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  while (!isActive(device)) {
    if (performance.now() > deadline) {
      throw new FanError('step-failed', `${device} is set up and attached to, but passes no packets`);
    }
    await sleep(POLL_MS);
  }
}

function isActive(device: string): boolean {
  try {
    return findDevice(device)?.operState === OPER_UP;
  } catch (cause) {
    throw new FanError('step-failed', `the kernel can't be asked for ${device}: ${errorText(cause)}`, {
      cause,
    });
  }
}
