/** One question to the kernel by netlink(7), and its answer. */
import { native } from './native.js';
import { decodeMessages, type Message } from './rtnetlink.js';

/** Longer than any answer: the description of a link is the longest. */
const BUFFER_BYTES = 1 << 16;

/** The first message of the answer, which may be ERROR. Throws an Error with {code, errno, syscall}. */
export function ask(protocol: number, request: Uint8Array): Message | undefined {
  const socket = native.netlinkOpen(protocol, 0);
  try {
    const buffer = new Uint8Array(BUFFER_BYTES);
    native.netlinkSend(socket, request);
    const length = Math.max(0, native.netlinkReceive(socket, buffer));
    return decodeMessages(buffer.subarray(0, length))[0];
  } finally {
    native.close(socket);
  }
}
