/**
 * A network device by its name, its index above all, asked of the kernel: /sys may show another network namespace than the one
 * this process is in.
 */
import { native } from './native.js';
import { decodeLink, decodeMessages, encodeGetLink, type Link, MESSAGE } from './rtnetlink.js';

/** Longer than any link's description. */
const BUFFER_BYTES = 1 << 16;

/** Throws an Error where there is no such device. */
export function deviceIndex(name: string): number {
  const link = findDevice(name);
  if (!link) throw new Error(`there is no device ${name}`);
  return link.index;
}

export function findDevice(name: string): Link | undefined {
  const socket = native.netlinkOpen(0);
  try {
    const buffer = new Uint8Array(BUFFER_BYTES);
    native.netlinkSend(socket, encodeGetLink(name));
    const length = Math.max(0, native.netlinkReceive(socket, buffer));
    const [answer] = decodeMessages(buffer.subarray(0, length));
    return answer?.type === MESSAGE.newLink ? decodeLink(answer) : undefined;
  } finally {
    native.close(socket);
  }
}
