/**
 * Short TCP connections a second, eight callers at once (bench/peers/connect-load.c).
 */
import { compilePeer } from '../peers/compile.js';
import type { Workload } from './workload.js';

const PORT = '9101';
const START_SECONDS = 0.2;

export const connectRate: Workload = {
  name: 'connect',
  title: 'TCP connections set up, used for a byte each way, and ended; eight at a time',
  unit: 'connections/s',
  digits: 0,
  compare: 'ratio',
  columns: [{ key: 'failed', title: 'failed', digits: 0 }],
  duration: (seconds) => seconds + START_SECONDS,
  async measure({ client, server, serverAddress }, seconds) {
    const program = await compilePeer('connect-load');
    const answering = server.spawn([program, 'serve', PORT]);
    try {
      await answering.prints(/^ready$/m);
      const argv = [program, 'call', serverAddress, PORT, `${Math.round(seconds * 1000)}`];
      const report = JSON.parse((await client.exec(argv)).stdout) as Record<
        'connections' | 'failed' | 'ns',
        number
      >;
      return {
        value: report.connections / (report.ns / 1e9),
        details: { failed: report.failed },
        report,
      };
    } finally {
      await answering.stop();
    }
  },
};
