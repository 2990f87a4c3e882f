/**
 * Request and answer, one at a time, by sockperf: the round trip's median and its tail, and how many there are a second.
 */
import { CommandError } from '../lab/command.js';
import type { Workload } from './workload.js';

const PORT = '11111';
const BYTES = '64';
/** sockperf warms up for 0.4 s and waits at both ends. */
const START_SECONDS = 1.2;

export const roundTrip: Workload = {
  name: 'rtt',
  title: 'sockperf ping-pong, UDP of 64 bytes, median round trip',
  unit: 'µs',
  digits: 1,
  compare: 'difference',
  columns: [
    { key: 'p99', title: 'p99', digits: 1 },
    { key: 'p999', title: 'p99.9', digits: 1 },
    { key: 'perSecond', title: 'per second', digits: 0 },
  ],
  duration: (seconds) => seconds + START_SECONDS,
  async measure({ client, server, serverAddress }, seconds) {
    const answering = server.spawn(['sockperf', 'server', '-p', PORT]);
    try {
      await answering.prints(/using recvfrom|to block on socket/);
      const argv = ['sockperf', 'ping-pong', '-i', serverAddress, '-p', PORT, '-m', BYTES, '--full-rtt'];
      const output = await client.exec([...argv, '-t', `${Math.ceil(seconds)}`]);
      const parsed = parseSockperf(output.stdout);
      if (!parsed) throw new CommandError(argv, output, 'no percentiles in its report');
      const { p50, ...details } = parsed;
      return { value: p50, details, report: output.stdout };
    } finally {
      await answering.stop('SIGINT');
    }
  },
};

/** Microseconds from sockperf's report with --full-rtt; undefined where it has none. */
export function parseSockperf(text: string) {
  const percentile = (name: string) => {
    return Number(new RegExp(`percentile ${name} *= *([\\d.]+)`).exec(text)?.[1] ?? Number.NaN);
  };
  const [, seconds, messages] =
    /\[Valid Duration\] RunTime=([\d.]+) sec;.*ReceivedMessages=(\d+)/.exec(text) ?? [];
  const figures = {
    p50: percentile('50.000'),
    p99: percentile('99.000'),
    p999: percentile('99.900'),
    perSecond: Number(messages) / Number(seconds),
  };
  return Object.values(figures).every(Number.isFinite) ? figures : undefined;
}
