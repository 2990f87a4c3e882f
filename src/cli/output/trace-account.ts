/**
 * What a trace says at its end, as tcpdump does: how many packets were shown or written, how many were seen, and how
 * many were missed, and why. A super-packet counts as one.
 */
import type { TraceLine, TraceRequest } from '../../control/protocol.js';

export class TraceAccount {
  /** Packets that were shown or written. */
  taken = 0;
  #came = 0;
  #lost = 0;
  #behind = 0;
  readonly #kernel = new Map<string, number>();
  #isBegun = false;
  #isWhole = false;

  add(line: TraceLine): void {
    if (line.type === 'packet') this.#came++;
    else if (line.type === 'started') this.#isBegun = true;
    else if (line.type === 'ended') this.#isWhole = true;
    else if (line.type === 'kernel') {
      this.#kernel.set(line.reason, (this.#kernel.get(line.reason) ?? 0) + line.packets);
    } else if (line.type === 'lost') {
      this.#lost += line.records;
      this.#behind += line.behind;
    }
  }

  /** Whether it began, and nothing was seen by fand, nor dropped by the kernel. */
  get isEmpty(): boolean {
    return this.#isBegun && this.#came + this.#lost + this.#kernelDropped === 0;
  }

  get #kernelDropped(): number {
    return [...this.#kernel.values()].reduce((sum, packets) => sum + packets, 0);
  }

  /** A line each, none where it did not begin; `done` is what became of those taken: "captured". */
  lines(done: string, limits: Pick<TraceRequest, 'recordsPerSecond' | 'bytesPerSecond'>): string[] {
    if (!this.#isBegun) return [];
    const atLeast = this.#isWhole ? '' : ', as far as fand came to tell';
    const lines = [
      packets(this.taken, done),
      `${packets(this.#came + this.#lost, 'seen')}${atLeast}`,
      `${packets(this.#lost, 'missed')}${this.#why(limits)}`,
    ];
    if (this.#kernelDropped > 0) {
      const reasons = [...this.#kernel].map(([reason, count]) => `${reason} ${count}`).join(', ');
      lines.push(`${packets(this.#kernelDropped, 'dropped by the kernel')} (${reasons})`);
    }
    return lines;
  }

  #why({
    recordsPerSecond,
    bytesPerSecond,
  }: Pick<TraceRequest, 'recordsPerSecond' | 'bytesPerSecond'>): string {
    if (this.#lost === 0) return '';
    const tooFast = this.#lost - this.#behind;
    const rate = `${recordsPerSecond} packets or ${bytesPerSecond >> 20} MiB a second`;
    const parts = [
      ...(tooFast > 0 ? [`${tooFast} beyond ${rate}`] : []),
      ...(this.#behind > 0 ? [`${this.#behind} while fanctl was behind`] : []),
    ];
    return ` (${parts.join(', ')}): narrow the filter`;
  }
}

function packets(count: number, done: string): string {
  return `${count} ${count === 1 ? 'packet' : 'packets'} ${done}`;
}
