/** A trace as `fanctl trace` prints it: lines for people, and an object for programs (docs/tracing.md). */
import { printable } from '../base/printable.js';
import { prettyFrame, prettyPacket } from '../wire/pretty.js';
import { clockTime, errnoName, type Stage, stagesOf, verdictOf, whyOf } from './stages.js';
import { bytesOf, type FanLine, type KernelLine, type PacketLine } from './trace-lines.js';

/** The longest packet, as received. */
const MOST_BYTES = 65_536 + 64;

export class TraceText {
  readonly #fans = new Map<string, FanLine>();
  /** A copy was cut to the snap length: the printer of headers gets one of full length, whose rest it doesn't read. */
  readonly #room = new Uint8Array(MOST_BYTES);

  learn(fan: FanLine): void {
    this.#fans.set(fan.bridge, fan);
  }

  /** A head line, the packet's layers, and its stages. */
  packet(line: PacketLine): string {
    const verdict = verdictOf(line);
    const total = formatUs(line.doneNs / 1000);
    const end = line.reason === undefined ? verdict : `DROPPED ${line.reason}`;
    const head = `${clockTime(BigInt(line.timeNs))} ${line.bridge || 'host'} ${line.path}: ${end}, ${total} us`;
    const layers = this.#layers(line).map((layer) => `    ${layer}`);
    const stages = stagesOf(line, this.#fans.get(line.bridge));
    return [head, ...layers, `    ${formatStages(stages)}`].map(printable).join('\n');
  }

  kernel({ reason, bridge, packets }: KernelLine): string {
    return printable(`${bridge || 'host'} kernel: DROPPED ${reason}, ${packets} packets: ${whyOf(reason)}`);
  }

  packetJson(line: PacketLine): object {
    const { path, bridge, reason, errno, packets, length } = line;
    return {
      time: Number(line.timeNs) / 1e9,
      fan: bridge || null,
      path,
      verdict: verdictOf(line),
      reason: reason ?? null,
      why: reason === undefined ? null : whyOf(reason),
      errno: errno === 0 ? null : errnoName(errno),
      packets,
      length,
      stages: stagesOf(line, this.#fans.get(bridge)),
      layers: this.#layers(line).map((layer) => layer.trim()),
    };
  }

  kernelJson({ reason, bridge, packets }: KernelLine): object {
    const time = Date.now() / 1000;
    return {
      time,
      fan: bridge || null,
      path: 'kernel',
      verdict: 'dropped',
      reason,
      why: whyOf(reason),
      packets,
    };
  }

  /** Of received packets, and of those that ICMP quotes. */
  #vxlanPorts(): number[] {
    return [...this.#fans.values()].flatMap(({ vxlanPort }) => vxlanPort ?? []);
  }

  #layers(line: PacketLine): string[] {
    const room = this.#room;
    const bytes = bytesOf(line.data);
    room.set(bytes.subarray(0, room.length));
    const length = Math.min(line.length, room.length);
    const isFrame = line.vxlan && (line.path === 'encap' || line.path === 'reply');
    const text = isFrame ? prettyFrame(room, 0, length) : prettyPacket(room, 0, length, this.#vxlanPorts());
    return text.split('\n');
  }
}

function formatStages(stages: readonly Stage[]): string {
  let before = 0;
  return stages
    .map(({ stage, us, ok, detail }) => {
      const later = us > before ? ` +${formatUs(us - before)}` : '';
      before = Math.max(before, us);
      return `${stage}${later}${ok ? '' : ' DROPPED'}${detail === '' ? '' : ` (${detail})`}`;
    })
    .join(' > ');
}

function formatUs(us: number): string {
  return us.toFixed(1);
}
