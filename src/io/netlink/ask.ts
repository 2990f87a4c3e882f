/** One question to the kernel by netlink(7), and its answer. */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { decodeError, decodeMessages, MESSAGE, type Message } from './rtnetlink.js';

/** Longer than any answer: the description of a link is the longest. Fresh ones would be cleared, page by page. */
const BUFFER_BYTES = 1 << 16;
const spare: Uint8Array[] = [];
const EAGAIN = 11;

/** The first message of the answer, which may be ERROR. Throws an Error with {code, errno, syscall}. */
export function ask(protocol: number, request: Uint8Array): Message | undefined {
  return withSocket(protocol, (socket, buffer) => {
    native.netlinkSend(socket, request);
    const length = Math.max(0, native.netlinkReceive(socket, buffer));
    return decodeMessages(buffer.slice(0, length))[0];
  });
}

/**
 * Calls `each` with every message of an answer that ends with DONE; a message is good until it returns. Throws an Error
 * with {code, errno, syscall}, perhaps behind the first messages.
 */
export function askAll(protocol: number, request: Uint8Array, each: (message: Message) => void): void {
  withSocket(protocol, (socket, buffer) => {
    check(native.netlinkSend(socket, request), 'send');
    for (;;) {
      // The kernel writes the next part while this one is taken: there is nothing to wait for.
      const length = native.netlinkReceive(socket, buffer);
      check(length === 0 ? -EAGAIN : length, 'recv');
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        const isLast = message.type === MESSAGE.done || message.type === MESSAGE.error;
        if (isLast) {
          check(decodeError(message), 'recv');
          return;
        }
        each(message);
      }
    }
  });
}

/** Who asks while an answer is taken has another buffer. */
function withSocket<T>(protocol: number, talk: (socket: number, buffer: Uint8Array) => T): T {
  const socket = native.netlinkOpen(protocol, 0);
  const buffer = spare.pop() ?? new Uint8Array(BUFFER_BYTES);
  try {
    return talk(socket, buffer);
  } finally {
    spare.push(buffer);
    native.close(socket);
  }
}

function check(result: number, syscall: string): void {
  if (result < 0) throw deviceError(result, syscall);
}
