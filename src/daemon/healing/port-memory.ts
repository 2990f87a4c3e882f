/**
 * Which ports were on a bridge that somebody deleted, so that the one made anew gets them back. Told by the kernel's
 * notices, in whose order the ports leave a moment before the bridge itself is gone; one that left earlier, or has
 * another bridge by now, was taken off on purpose.
 */
import type { LinkRole } from '../../io/netlink/rtnetlink.js';

/** Ports leave a bridge that goes, and it is told so, in one go. */
const SAME_MOMENT_MS = 1000;

interface Known {
  readonly name: string;
  readonly master: number;
  /** The bridge that it left last, and when. */
  readonly left: number;
  readonly leftMs: number;
}

export class PortMemory {
  readonly #links = new Map<number, Known>();
  /** Name of a bridge that is gone → indices of its ports. */
  readonly #orphans = new Map<string, number[]>();
  #catchUp: () => void = () => {};

  /** `catchUp` notes what the kernel has said until now: a bridge may be made anew before it was heard that it is gone. */
  follow(catchUp: () => void): void {
    this.#catchUp = catchUp;
  }

  /** A link as it is now, or as it was when it went. `nowMs` of any clock that only grows. */
  note({ index, name, master }: LinkRole, isGone: boolean, nowMs: number): void {
    const before = this.#links.get(index);
    if (isGone) {
      this.#links.delete(index);
      this.#noteGone(index, name, nowMs);
      return;
    }
    // Notices of a bridge's own family have no name where the port leaves.
    const known = { name: name === '' ? (before?.name ?? '') : name, master };
    const hasLeft = before !== undefined && before.master !== 0 && master === 0;
    const { left = 0, leftMs = 0 } = before ?? {};
    this.#links.set(
      index,
      hasLeft ? { ...known, left: before.master, leftMs: nowMs } : { ...known, left, leftMs },
    );
  }

  /** Ports that the bridge of this name had when it was deleted, by their names now; each is given out once. */
  takeOrphans(bridge: string): string[] {
    this.#catchUp();
    const ports = this.#orphans.get(bridge) ?? [];
    this.#orphans.delete(bridge);
    return ports.flatMap((index) => {
      const link = this.#links.get(index);
      return link?.master === 0 ? [link.name] : [];
    });
  }

  /** Names of the ports that a bridge has. */
  portsOf(bridge: string): string[] {
    const index = [...this.#links].find(([, { name }]) => name === bridge)?.[0];
    return [...this.#links.values()].filter(({ master }) => master === index).map(({ name }) => name);
  }

  #noteGone(index: number, name: string, nowMs: number): void {
    const ports = [...this.#links].filter(
      ([, { master, left, leftMs }]) =>
        master === index || (master === 0 && left === index && nowMs - leftMs < SAME_MOMENT_MS),
    );
    if (ports.length > 0)
      this.#orphans.set(
        name,
        ports.map(([port]) => port),
      );
  }
}
