/**
 * `ufan/client`: what fanctl does, for other programs: the same requests over fand's control socket, the same objects
 * as `--json` prints, the same errors. Nothing is kept open between two calls; nothing is printed.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { FanError } from '../base/error.js';
import { formatFlags } from '../config/fan-flags.js';
import { parseFanLine } from '../config/fan-line.js';
import { DEFAULT_OPTIONS, type FanOptions } from '../config/fan-options.js';
import { formatOverlay } from '../config/overlay.js';
import { formatUnderlay } from '../config/underlay.js';
import { FandClient } from '../control/client.js';
import { readFans } from '../control/known-fans.js';
import type {
  DownReply,
  Explanation,
  FanView,
  RunPaths,
  Stats,
  UpReply,
  UpRequest,
} from '../control/protocol.js';
import { runPaths } from '../control/protocol.js';
import { requestDown } from '../control/request-down.js';
import { requestUp } from '../control/request-up.js';

export type { FanErrorCode } from '../base/error.js';
export { BrokenOff, NotRunning } from '../control/client.js';
export type { Counters, FanState } from '../control/protocol.js';
export {
  type DownReply,
  type Explanation,
  FanError,
  type FanOptions,
  type FanView,
  type Stats,
  type UpReply,
};

export interface FansOptions {
  /** Where fand has its socket; by default UFAN_RUN_DIR, or /run/ufan. */
  readonly runDir?: string;
}

/** The fans of this host. Every call may throw FanError; `code` says of which kind, the message what to do. */
export class Fans {
  readonly #paths: RunPaths;
  readonly #client: FandClient;

  /** Asks nothing yet. */
  constructor({ runDir }: FansOptions = {}) {
    this.#paths = runPaths(runDir);
    this.#client = new FandClient(this.#paths);
  }

  /** As `fanctl show --json`: those that are up, or with state "dead" those that a fand which died has left. */
  show(): Promise<FanView[]> {
    return readFans(this.#paths);
  }

  /** As `fanctl stats --json`. Throws NotRunning where no fand runs. */
  stats(): Promise<Stats> {
    return this.#client.stats();
  }

  /** As `fanctl explain --json`: where packets to `address` go; `from` is their sender, by default this host. */
  async explain(address: string, from?: string): Promise<Explanation> {
    for (const each of [address, ...(from === undefined ? [] : [from])]) parseAddress(each);
    return this.#client.explain(from === undefined ? { address } : { address, from });
  }

  /**
   * Brings a fan up, as `fanctl up OVERLAY UNDERLAY`; starts fand where none runs. Resolves when packets can flow.
   * `bridge` of the answer is what containers are put on.
   */
  async up(overlay: string, underlay: string, options: Partial<FanOptions> = {}): Promise<UpReply> {
    requireRoot('up');
    const request = readRequest(overlay, underlay, { ...DEFAULT_OPTIONS, ...options });
    return requestUp(this.#paths, request);
  }

  /** Takes a fan down that `up` was told in these words; nothing of it is left when this resolves. */
  async down(overlay: string, underlay: string): Promise<DownReply> {
    requireRoot('down');
    const { options: _, ...ends } = readRequest(overlay, underlay, DEFAULT_OPTIONS);
    const reply = await requestDown(this.#paths, ends);
    if (reply) return reply;
    throw new FanError('not-configured', `${ends.overlay} on ${ends.underlay} is not configured`);
  }

  /** Takes every fan down; that there is none is no error. */
  async downEvery(): Promise<DownReply> {
    requireRoot('down');
    return (await requestDown(this.#paths, { every: true })) ?? { bridges: [], notes: [], last: false };
  }
}

/** Everything is judged as if it stood on the command line. Throws FanError as parseFanLine. */
function readRequest(overlay: string, underlay: string, options: FanOptions): UpRequest {
  const line = parseFanLine(['-o', overlay, '-u', underlay, ...formatFlags(options).split(' ')]);
  return {
    overlay: formatOverlay(line.overlay),
    underlay: formatUnderlay(line.underlay),
    options: line.options,
  };
}

function requireRoot(name: string): void {
  if (process.geteuid?.() !== 0) {
    throw new FanError('not-root', `${name} must run as root: it changes the host's network`);
  }
}
