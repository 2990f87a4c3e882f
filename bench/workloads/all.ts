/** Every workload, in the order of measurement and of the report. */
import { connectRate } from './connect-rate.js';
import { iperf2 } from './iperf2.js';
import { roundTrip } from './round-trip.js';
import { tcpBothWays, tcpStream, tcpStreamBbr, tcpStreams } from './tcp.js';
import { udp } from './udp.js';
import type { Workload } from './workload.js';

export const WORKLOADS: readonly Workload[] = [
  tcpStream,
  ...tcpStreamBbr,
  iperf2,
  tcpStreams,
  tcpBothWays,
  udp(64),
  udp(512),
  udp(1400),
  roundTrip,
  connectRate,
];
