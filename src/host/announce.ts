/**
 * Tells those on a bridge which MAC its addresses have (gratuitous ARP, RFC 5944 §4.6), so that nobody goes on with one that
 * it had for a moment: a neighbour that seems reachable is not asked again for up to 45 s.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { findLink, readLinks } from './links.js';
import { run } from './run.js';
import { readSysctl, writeSysctl } from './sysctl.js';

/** A bridge sends nothing until the kernel has noticed its first port. */
const OPERATIONAL_TIMEOUT_MS = 2000;
const POLL_MS = 20;

/** Does nothing where nobody is attached, or the bridge is gone. Throws FanError step-failed. */
export async function announceAddresses(bridge: string): Promise<void> {
  if (!(await isOperational(bridge))) return;
  const link = await findLink(bridge);
  const setting = `ipv4/conf/${bridge}/arp_notify`;
  const before = await readSysctl(setting);
  if (!link || before === undefined) return;
  await writeSysctl(setting, '1');
  try {
    // The kernel tells it when it is set, also to what it was.
    await run('ip', ['link', 'set', 'dev', bridge, 'address', link.hardwareAddress]);
  } finally {
    await writeSysctl(setting, before);
  }
}

async function isOperational(bridge: string): Promise<boolean> {
  const deadlineMs = performance.now() + OPERATIONAL_TIMEOUT_MS;
  for (;;) {
    const links = await readLinks();
    const isAttached = links.some(({ master, flags }) => master === bridge && flags.includes('LOWER_UP'));
    if (links.find(({ name }) => name === bridge)?.isOperational) return true;
    if (!isAttached || performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
}
