/**
 * Who on a link answers ARP for an address (arping of iputils): two hosts with one underlay address own one slice, and
 * each gets a part of its packets.
 */
import { FanError } from '../base/error.js';
import { run } from './run.js';

/** Seconds; whoever is on the link answers in a few milliseconds. */
const WAIT = '1';
/** 1: too few answer, or with -D somebody does. 2: it can't ask, and says why where its answers stand. */
const STATUSES = [0, 1, 2];
const ANSWER = /reply from \S+ \[([0-9a-f:]+)\]/gi;

/**
 * The hardware addresses that claim `address` on `device`, beside our own where it is ours (`own`). Takes a second.
 * Throws FanError unsupported where arping is not installed, step-failed where the device has no ARP.
 */
export async function arping(device: string, address: string, own: boolean): Promise<string[]> {
  // Broadcast all the time: after the first answer arping would ask its sender only.
  const mode = own ? ['-D', '-b'] : ['-b'];
  const text = await run('arping', [...mode, '-c', '2', '-w', WAIT, '-I', device, address], STATUSES);
  if (!text.startsWith('ARPING')) throw new FanError('step-failed', `arping on ${device}: ${text.trim()}`);
  return [...new Set([...text.matchAll(ANSWER)].map(([, mac]) => mac!.toLowerCase()))];
}
