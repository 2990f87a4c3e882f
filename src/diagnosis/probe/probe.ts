/** The request behind `fanctl probe`: which fan and which underlay host are meant, then the prober. */
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { contains } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import type { ProbeReply, ProbeRequest } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import { sliceOf, underlayHostOf } from '../../fan/mapping.js';
import { fanOf, judgeExit } from '../../fan/verdict.js';
import type { Responder } from './responder.js';

const MOST_PROBES = 20;

/** Throws FanError bad-address for what is no peer's, not-configured without a fan that is up, usage for the count. */
export async function probe(
  { target, count }: ProbeRequest,
  records: readonly FanRecord[],
  responder: Responder,
): Promise<ProbeReply> {
  if (!Number.isInteger(count) || count < 1 || count > MOST_PROBES) {
    throw new FanError('usage', `a probe sends 1 to ${MOST_PROBES} of each kind`);
  }
  const up = records.filter(({ view }) => view.state === 'up');
  if (up.length === 0) throw new FanError('not-configured', 'no fan is up on this host');
  const { fan, host, inner } = findPeer(up, parseAddress(target));
  // Most hosts probe nobody.
  const [{ Prober }, { IcmpSocket }] = await Promise.all([import('./prober.js'), import('./icmp-socket.js')]);
  return new Prober(responder, fan, { host, inner }, count, await IcmpSocket.open()).run();
}

interface Peer {
  fan: FanRecord;
  /** Its underlay address, u32. */
  host: number;
  /** The overlay address that was named, else that of its gateway; u32. */
  inner: number;
}

/** The fan that an overlay address is of, or the first whose underlay an underlay address is of. */
function findPeer(records: readonly FanRecord[], target: number): Peer {
  const fans = records.map(({ plan }) => plan.mapping);
  const overlay = fanOf(fans, target);
  const mapping = overlay ?? fans.find(({ underlay }) => contains(underlay, target));
  const fan = records.find(({ plan }) => plan.mapping === mapping);
  const text = formatAddress(target);
  if (!fan || !mapping) {
    throw new FanError('bad-address', `${text} is in no overlay and no underlay of a fan of this host`);
  }
  const host = overlay ? underlayHostOf(overlay, target) : target;
  const reason = judgeExit(fans, mapping, host);
  if (reason === 'to-ourselves') {
    throw new FanError('bad-address', `${text} is this host: name a peer`);
  }
  if (reason) {
    const kind = reason === 'underlay-network' ? 'network' : 'broadcast';
    throw new FanError('bad-address', `${text} is no host's: ${formatAddress(host)} is the ${kind} address`);
  }
  return { fan, host, inner: overlay ? target : sliceOf(mapping, host).base + 1 };
}
