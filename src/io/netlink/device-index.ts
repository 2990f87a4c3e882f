/**
 * A network device by its name, its index above all, asked of the kernel: /sys may show another network namespace than the one
 * this process is in.
 */
import { ask } from './ask.js';
import { decodeLink, encodeGetLink, type Link, MESSAGE, NETLINK_ROUTE } from './rtnetlink.js';

/** Throws an Error where there is no such device. */
export function deviceIndex(name: string): number {
  const link = findDevice(name);
  if (!link) throw new Error(`there is no device ${name}`);
  return link.index;
}

export function findDevice(name: string): Link | undefined {
  const answer = ask(NETLINK_ROUTE, encodeGetLink(name));
  return answer?.type === MESSAGE.newLink ? decodeLink(answer) : undefined;
}
