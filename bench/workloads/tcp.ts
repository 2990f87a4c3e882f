/**
 * TCP from container to container by iperf3: the announcement's one stream, and harder ones.
 */
import { iperf } from '../lab/iperf.js';
import type { Workload } from './workload.js';

const START_SECONDS = 0.3;

function tcp(name: string, title: string, args: readonly string[]): Workload {
  return {
    name,
    title: `iperf3, ${title}, container to container`,
    unit: 'Gbit/s',
    digits: 2,
    compare: 'ratio',
    columns: [{ key: 'retransmits', title: 'retransmits', digits: 0 }],
    duration: (seconds) => seconds + START_SECONDS,
    async measure({ client, server, serverAddress }, seconds) {
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
export const tcpStreams = tcp('tcp-8', 'eight TCP streams', ['-P', '8']);
export const tcpBothWays = tcp('tcp-bidir', 'a TCP stream each way at once, the sum', ['--bidir']);
