/**
 * TCP from container to container by iperf3: the announcement's one stream, and harder ones.
 */
import { readFileSync } from 'node:fs';
import { useCongestionControl } from '../lab/congestion-control.js';
import { iperf } from '../lab/iperf.js';
import { CONGESTION_CONTROL } from '../report/machine.js';
import type { Workload } from './workload.js';

const START_SECONDS = 0.3;

function availableControls(): string[] {
  return readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'latin1').trim().split(' ');
}

function tcp(
  name: string,
  title: string,
  args: readonly string[],
  control: string = CONGESTION_CONTROL,
): Workload {
  return {
    name,
    title: `iperf3, ${title}, container to container`,
    unit: 'Gbit/s',
    digits: 2,
    compare: 'ratio',
    columns: [{ key: 'retransmits', title: 'retransmits', digits: 0 }],
    duration: (seconds) => seconds + START_SECONDS,
    async measure({ client, server, serverAddress }, seconds) {
      await Promise.all([client, server].map((end) => useCongestionControl(end, control)));
      const run = await iperf(client, server, serverAddress, { seconds, args });
      return {
        value: run.bitsPerSecond / 1e9,
        bytes: run.bytes,
        details: { retransmits: run.retransmits },
        report: run.json,
      };
    },
  };
}

export const tcpStream = tcp('tcp-1', 'one TCP stream', []);
/** What a host that prefers BBR gets; empty where this kernel has none. */
export const tcpStreamBbr = availableControls().includes('bbr')
  ? [tcp('tcp-1-bbr', 'one TCP stream with BBR', [], 'bbr')]
  : [];
export const tcpStreams = tcp('tcp-8', 'eight TCP streams', ['-P', '8']);
export const tcpBothWays = tcp('tcp-bidir', 'a TCP stream each way at once, the sum', ['--bidir']);
