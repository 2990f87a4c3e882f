/**
 * The headline by the announcement's own tool, iperf 2: one TCP stream, as the server counted it.
 */
import { CommandError } from '../lab/command.js';
import { useCongestionControl } from '../lab/congestion-control.js';
import { listens } from '../lab/transfer.js';
import { CONGESTION_CONTROL } from '../report/machine.js';
import type { Workload } from './workload.js';

const PORT = '5001';
const START_SECONDS = 0.5;

export const iperf2: Workload = {
  name: 'iperf2',
  title: 'iperf 2, one TCP stream, container to container',
  unit: 'Gbit/s',
  digits: 2,
  compare: 'ratio',
  columns: [],
  duration: (seconds) => seconds + START_SECONDS,
  async measure({ client, server, serverAddress }, seconds) {
    const listener = server.spawn(['iperf', '-s', '-p', PORT, '-y', 'C', '-P', '1']);
    try {
      await listens(server, PORT);
      await Promise.all([client, server].map((end) => useCongestionControl(end, CONGESTION_CONTROL)));
      const argv = ['iperf', '-c', serverAddress, '-p', PORT, '-t', `${seconds}`, '-y', 'C'];
      const sent = await client.exec(argv, { timeoutMs: (seconds + 20) * 1000 });
      const { stdout } = await listener.finish();
      const parsed = parseIperf2(stdout);
      if (!parsed) throw new CommandError(argv, { ...sent, stdout }, 'no report of the server');
      return { value: parsed.bitsPerSecond / 1e9, bytes: parsed.bytes, details: {}, report: stdout };
    } finally {
      await listener.stop();
    }
  },
};

/** The last line of iperf's -y C: time, addresses and ports, id, interval, bytes, bits a second. */
export function parseIperf2(text: string): { bytes: number; bitsPerSecond: number } | undefined {
  const fields = text.trim().split('\n').at(-1)?.split(',') ?? [];
  const [bytes, bitsPerSecond] = fields.slice(7, 9).map(Number);
  return bytes && bitsPerSecond ? { bytes, bitsPerSecond } : undefined;
}
