/**
 * The announcement's headline: iperf, one TCP stream from container to container.
 */
import { iperf } from '../lab/iperf.js';
import type { Workload } from './workload.js';

export const tcpStream: Workload = {
  name: 'tcp-stream',
  title: 'iperf3, one TCP stream, container to container',
  unit: 'Gbit/s',
  async measure({ client, server, serverAddress }, seconds) {
    const { bitsPerSecond, json } = await iperf(client, server, serverAddress, { seconds });
    return { value: bitsPerSecond / 1e9, report: json };
  },
};
