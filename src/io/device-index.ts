/**
 * The index of a network device by its name, asked of the kernel: /sys may show another network namespace than the one
 * this process is in.
 */
import { native } from './native.js';
import { decodeLink, decodeMessages, encodeGetLink, MESSAGE } from './rtnetlink.js';

/** Longer than any link's description. */
const BUFFER_BYTES = 1 << 16;

/** Throws an Error where there is no such device. */
export function deviceIndex(name: string): number {
  const socket = native.netlinkOpen(0);
  try {
    const buffer = new Uint8Array(BUFFER_BYTES);
    native.netlinkSend(socket, encodeGetLink(name));
    const length = Math.max(0, native.netlinkReceive(socket, buffer));
    const [answer] = decodeMessages(buffer.subarray(0, length));
    const link = answer?.type === MESSAGE.newLink ? decodeLink(answer) : undefined;
    if (!link) throw new Error(`there is no device ${name}`);
    return link.index;
  } finally {
    native.close(socket);
  }
}
