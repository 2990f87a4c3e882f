/**
 * Devices of a lab, ready for the first packet. A device that gets its carrier while it is up drops what is sent by it,
 * and a bridge what comes in by such a port, until the kernel's link watch has seen it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './command.js';

const LONGEST_MS = 60_000;
const POLL_MS = 10;

/**
 * Waits until these devices of a namespace are up, carrier and all, in this order: a port comes before its bridge. Asked
 * for one device, the kernel does what its link watch would do (src/io/netlink/active-device.ts).
 */
export async function awaitLinks(namespace: string, ...devices: readonly string[]): Promise<void> {
  const argv = ['ip', '-n', namespace, '-json', '-batch', '-'];
  const input = devices.map((device) => `link show dev ${device}\n`).join('');
  const deadline = Date.now() + LONGEST_MS;
  for (;;) {
    const { stdout } = await run(argv, { input });
    const states = [...stdout.matchAll(/"operstate":"(\w+)"/g)].map(([, state]) => state);
    if (states.length === devices.length && states.every((state) => state === 'UP')) return;
    if (Date.now() > deadline) throw new Error(`${devices.join(', ')} in ${namespace}: ${states.join(', ')}`);
    await sleep(POLL_MS);
  }
}
