/**
 * ping from one namespace of the lab, and what came of it.
 */
import { CommandError } from './command.js';
import type { Namespace } from './namespace.js';

export interface PingOptions {
  count?: number;
  /** Between two. ping then waits for the last reply no longer than this and two round trips; without it all go at once. */
  intervalMs?: number;
  /** For a reply; 10,000 unless told. */
  timeoutMs?: number;
  /** Bytes of ICMP payload. */
  size?: number;
  /** True: Don't Fragment is set; false: it is clear. Without it the kernel's path MTU discovery decides. */
  df?: boolean;
}

export interface PingResult {
  sent: number;
  received: number;
  /** Undefined when nothing came back. */
  rttMs?: { min: number; avg: number; max: number };
  text: string;
}

/** Of a ping that nobody is to answer. */
export const UNANSWERED = { timeoutMs: 2000 } as const;

/** Never throws for lost packets, only where ping itself fails. */
export async function ping(from: Namespace, address: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 3, intervalMs, timeoutMs = 10_000, size = 56, df } = options;
  const [interval, together] = intervalMs === undefined ? [timeoutMs, ['-l', `${count}`]] : [intervalMs, []];
  const pmtu = df === undefined ? [] : ['-M', df ? 'do' : 'dont'];
  const argv = [
    'ping',
    '-n',
    '-c',
    `${count}`,
    '-i',
    `${interval / 1000}`,
    ...together,
    '-W',
    `${timeoutMs / 1000}`,
    '-s',
    `${size}`,
    ...pmtu,
  ];
  const output = await from.exec([...argv, address], { anyExit: true });
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(output.stdout);
  if (!counts) throw new CommandError([...argv, address], output);
  const rtt = /= ([\d.]+)\/([\d.]+)\/([\d.]+)/.exec(output.stdout);
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    text: output.stdout,
    ...(rtt && { rttMs: { min: Number(rtt[1]), avg: Number(rtt[2]), max: Number(rtt[3]) } }),
  };
}
