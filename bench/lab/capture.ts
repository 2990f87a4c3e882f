/**
 * Packets as they are on a device of the lab: tcpdump writes them, tcpdump and tshark decode them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Output, type RunningCommand, run } from './command.js';
import type { Namespace } from './namespace.js';

/**
 * Bytes for all that a test sends while tcpdump doesn't get to run. Not with --immediate-mode: each packet has a slot of
 * 64 kB then where the device may merge, and some hundreds fill the buffer.
 */
const BUFFER_KIB = 32 << 10;
/** For packets to arrive, and at most for tcpdump to write down all that it was given. */
const ARRIVAL_MS = 100;
const READ_OUT_MS = 5000;

export class Capture {
  /** The pcap file; complete once `stop` has returned. */
  readonly file: string;
  readonly #tcpdump: RunningCommand;

  private constructor(file: string, tcpdump: RunningCommand) {
    this.file = file;
    this.#tcpdump = tcpdump;
  }

  /** Resolves when packets are being captured. `filter` is in tcpdump's language. */
  static async start(where: Namespace, device: string, file: string, filter = ''): Promise<Capture> {
    const argv = ['tcpdump', '-n', '-U', '-B', `${BUFFER_KIB}`, '-Z', 'root', '-i', device, '-w', file];
    const tcpdump = where.spawn([...argv, ...(filter === '' ? [] : [filter])]);
    await tcpdump.prints(/listening on/);
    return new Capture(file, tcpdump);
  }

  /** Lets what is under way arrive, then ends the capture. Throws where packets are missing from it. */
  async stop(): Promise<void> {
    await sleep(ARRIVAL_MS);
    await this.#readOut();
    const { stderr } = await this.#tcpdump.stop('SIGINT');
    const missing = /^([1-9]\d*) packets? dropped by kernel/m.exec(stderr)?.[1];
    if (missing) throw new Error(`${this.file} lacks ${missing} packets that tcpdump was too slow for`);
  }

  /** Waits until tcpdump has taken all packets out of its buffer, which it looks at once a second. SIGUSR1 asks it. */
  async #readOut(): Promise<void> {
    const counts = /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped/;
    const deadline = Date.now() + READ_OUT_MS;
    while (this.#tcpdump.running && Date.now() < deadline) {
      const said = this.#tcpdump.stderr.length;
      process.kill(this.#tcpdump.pid, 'SIGUSR1');
      await sleep(20);
      const [, captured, received, dropped] = counts.exec(this.#tcpdump.stderr.slice(said)) ?? [];
      if (captured !== undefined && Number(captured) + Number(dropped) >= Number(received)) return;
    }
  }
}

/** Packets as tcpdump prints them, a text of one or more lines. */
export async function tcpdumpText(file: string, args: readonly string[] = ['-v']): Promise<string> {
  return (await run(['tcpdump', '-n', '-r', file, ...args])).stdout;
}

/**
 * Fields of each packet by tshark: `fields(file, ['ip.src', 'ip.ttl'], 'icmp')`. A field that occurs more than
 * once, as ip.src does in IPIP, has its values in one string, outer first, with a comma between. All checksums
 * are verified.
 */
export async function fields(file: string, names: readonly string[], filter = ''): Promise<string[][]> {
  const output = await tshark(file, filter, ['-T', 'fields', ...names.flatMap((name) => ['-e', name])]);
  return output.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'));
}

/**
 * What tshark finds wrong (expert information of warning and above), a line each; empty when all is well. `plain` are
 * ports, as "tcp.port==9000", whose payload is random bytes that no dissector may take for a protocol.
 */
export async function complaints(
  file: string,
  filter = '',
  plain: readonly string[] = [],
): Promise<string[]> {
  const wrong = '_ws.expert.severity >= 0x00600000';
  const where = filter === '' ? wrong : `(${filter}) && ${wrong}`;
  const output = await tshark(file, where, [
    '-T',
    'fields',
    '-e',
    'frame.number',
    '-e',
    '_ws.expert.message',
    ...plain.flatMap((port) => ['-d', `${port},data`]),
  ]);
  return output.stdout.split('\n').filter(Boolean);
}

function tshark(file: string, filter: string, args: readonly string[]): Promise<Output> {
  const checks = [
    '-o',
    'ip.check_checksum:TRUE',
    '-o',
    'tcp.check_checksum:TRUE',
    '-o',
    'udp.check_checksum:TRUE',
  ];
  return run(['tshark', '-n', '-r', file, ...checks, ...(filter === '' ? [] : ['-Y', filter]), ...args]);
}
