/**
 * The path MTU of a fan by probes that may not be fragmented (RFC 1191, RFC 4821): does a packet that fills the fan pass?
 * If not, did a router or the fan say what does? If nobody did, or that does not pass either, it is searched for, in the
 * direction in which packets vanish.
 */
import { FRAGMENTATION_NEEDED, ICMP_UNREACHABLE } from '../../wire/icmpv4.js';
import { LEAST_PROBE_LEN } from '../../wire/probe.js';
import type { Carrier } from './carrier.js';
import type { MtuResult } from './checks.js';
import type { Ask, Exchange } from './exchange.js';
import type { PathNotice } from './icmp-socket.js';
import { searchSize } from './size-search.js';

const SURE = 3;
const QUICK = 2;

export interface MtuQuestion {
  exchange: Pick<Exchange, 'try'>;
  /** ICMP errors that came in since the probe began; it grows. */
  notices: readonly PathNotice[];
  /** Inner bytes of a packet that fills the fan. */
  full: number;
  /** Underlay address of the peer, u32. */
  host: number;
  /** Network address of its slice, u32. */
  slice: number;
  /** What the peer's fan has learnt by now of the path to us, outer bytes; null where nothing. */
  peerPath(): Promise<number | null>;
  carrier: Carrier;
  /** Undefined where the peer has no responder. */
  ask: Ask | undefined;
}

export async function measureMtu(question: MtuQuestion): Promise<MtuResult> {
  const { exchange, full, ask } = question;
  const { overhead } = question.carrier;
  let trial = await exchange.try(full, SURE, ask);
  if (trial.back) return { full, passes: full, direction: 'unknown' };
  let failing = full;
  const told = toldMtu(question);
  if (told !== undefined && told - overhead < full && told - overhead > LEAST_PROBE_LEN) {
    trial = await exchange.try(told - overhead, SURE, ask);
    if (trial.back) return { full, passes: told - overhead, told, direction: 'unknown' };
    failing = told - overhead;
  }
  if (trial.out === false) {
    const passes = await searchSize(LEAST_PROBE_LEN, failing, async (size) => {
      return (await exchange.try(size, QUICK, ask)).out === true;
    });
    return { full, passes, direction: 'out' };
  }
  const passes = await searchSize(LEAST_PROBE_LEN, failing, async (size) => {
    return (await exchange.try(size, QUICK, ask)).back;
  });
  const back = (await question.peerPath()) ?? undefined;
  return { full, passes, told: back, direction: trial.out === undefined ? 'unknown' : 'in' };
}

/** The least MTU that was announced while we probed: of the outer packet by a router, of the inner one by our fan. */
function toldMtu({ notices, host, slice, carrier }: MtuQuestion): number | undefined {
  const told = notices
    .filter(({ type, code, mtu }) => type === ICMP_UNREACHABLE && code === FRAGMENTATION_NEEDED && mtu > 0)
    .flatMap(({ protocol, destination, mtu }) => {
      if (protocol === carrier.protocol && destination === host) return [mtu];
      return destination === slice ? [mtu + carrier.overhead] : [];
    });
  return told.length === 0 ? undefined : Math.min(...told);
}
