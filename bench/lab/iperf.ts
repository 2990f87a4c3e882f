/**
 * iperf3 between two namespaces of the lab, with its own JSON and the figures that matter.
 */
import { CommandError } from './command.js';
import type { Namespace } from './namespace.js';

export interface IperfOptions {
  seconds?: number;
  port?: number;
  /** More of the client's options: ['-P', '8'], ['-u', '-b', '100M'], ['--bidir']. */
  args?: readonly string[];
}

export interface IperfResult {
  /** As the receivers counted them; of both directions with --bidir. */
  bitsPerSecond: number;
  bytes: number;
  /** Of the sender's TCP; 0 for UDP. */
  retransmits: number;
  /** iperf3's whole report. */
  json: IperfJson;
}

interface IperfSum {
  bits_per_second: number;
  bytes: number;
  retransmits?: number;
}

interface IperfStream {
  /** `sender`: whether the client sent this stream. */
  receiver: { bytes: number; sender: boolean };
}

interface IperfJson {
  error?: string;
  /** `streams` of TCP only. */
  end: {
    sum?: IperfSum;
    sum_sent?: IperfSum;
    sum_received?: IperfSum;
    sum_received_bidir_reverse?: IperfSum;
    streams?: IperfStream[];
  };
}

/** One run, client → server; throws where either side fails. */
export async function iperf(
  client: Namespace,
  server: Namespace,
  address: string,
  options: IperfOptions = {},
): Promise<IperfResult> {
  const { seconds = 3, port = 5201, args = [] } = options;
  const listener = server.spawn(['iperf3', '-s', '-1', '-p', `${port}`, '--forceflush']);
  try {
    await listener.prints(/Server listening/);
    const argv = [
      'iperf3',
      '-c',
      address,
      '-p',
      `${port}`,
      '-t',
      `${seconds}`,
      '-J',
      '--connect-timeout',
      '10000',
    ];
    const output = await client.exec([...argv, ...args], { anyExit: true, timeoutMs: (seconds + 40) * 1000 });
    const json = JSON.parse(output.stdout || '{}') as Partial<IperfJson>;
    const received = json.end?.sum_received ?? json.end?.sum;
    if (output.code !== 0 || json.error || !json.end || !received) {
      throw new CommandError(argv, output, json.error ?? `exit ${output.code}`);
    }
    const back = json.end.sum_received_bidir_reverse;
    return {
      bitsPerSecond: received.bits_per_second + (back?.bits_per_second ?? 0),
      bytes: received.bytes + (back?.bytes ?? 0),
      retransmits: json.end.sum_sent?.retransmits ?? 0,
      json: json as IperfJson,
    };
  } finally {
    await listener.stop();
  }
}
