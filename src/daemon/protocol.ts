/**
 * What fanctl and fand say to each other: JSON over HTTP on a Unix socket in UFAN_RUN_DIR, and the files beside
 * it. `curl --unix-socket /run/ufan/fand.sock http://fand/v1/fans` works as well.
 *
 *   GET    /v1/status           → DaemonStatus
 *   GET    /v1/fans             → FanView[]
 *   POST   /v1/fans             UpRequest   → UpReply
 *   DELETE /v1/fans             DownRequest → DownReply
 *   GET    /v1/stats            → Stats
 *   GET    /v1/offenders        → Offender[]
 *   POST   /v1/repair           RepairRequest → RepairReply
 * An error is any status of 400 or more with an ErrorReply. fand leaves when its last fan is down.
 */
import type { DropReasonName } from '../base/drop-reason.js';
import type { FanErrorCode } from '../base/error.js';
import type { FanOptions } from '../config/fan-options.js';

export interface RunPaths {
  dir: string;
  socket: string;
  pid: string;
  lock: string;
  state: string;
  log: string;
}

export function runPaths(dir = process.env.UFAN_RUN_DIR || '/run/ufan'): RunPaths {
  return {
    dir,
    socket: `${dir}/fand.sock`,
    pid: `${dir}/fand.pid`,
    lock: `${dir}/fand.lock`,
    state: `${dir}/state.json`,
    log: `${dir}/fand.log`,
  };
}

export interface DaemonStatus {
  pid: number;
  version: string;
  /** Inode of the network namespace it serves, as in `readlink /proc/PID/ns/net`. */
  netns: string;
}

export type FanState = 'up' | 'dead';

/** One fan as `fanctl show --json` prints it. */
export interface FanView {
  bridge: string;
  /** "250.0.0.0/8" */
  overlay: string;
  /** "172.30.0.28/16" */
  underlay: string;
  /** "250.0.28.0/24" */
  slice: string;
  gateway: string;
  /** The underlay device, "eth0". */
  device: string;
  /** Of bridge and TUN: underlay MTU − 20. */
  mtu: number;
  /** The I/O mode in use: "raw" or "packet". */
  io: string;
  /** Faster ways that were passed over, with the reason: "packet: wg0 is no Ethernet device". */
  ioNotes: string[];
  state: FanState;
  /** As in the text form: "dhcp host-reserve 1". */
  flags: string;
}

export interface UpRequest {
  /** In text, as config/ formats them: "250.0.0.0/8", "eth0/16". */
  overlay: string;
  underlay: string;
  options: FanOptions;
}

export interface UpReply {
  bridge: string;
  /** What the operator should know; printed to stderr. */
  notes: string[];
}

/** Either both of overlay and underlay, or every. */
export interface DownRequest {
  overlay?: string;
  underlay?: string;
  every?: boolean;
}

export interface DownReply {
  bridges: string[];
  notes: string[];
  /** True when that was the last fan and fand is about to leave. */
  last: boolean;
}

export type Counters = Record<string, number>;

export interface Stats {
  host: { counters: Counters };
  fans: { bridge: string; overlay: string; underlay: string; io: string; counters: Counters }[];
}

/** Who sent the last packet that was dropped for a reason: the outer source. */
export interface Offender {
  bridge: string;
  reason: DropReasonName;
  /** Underlay address, in text. */
  address: string;
  /** How long ago, ms. */
  ageMs: number;
}

/** A kind of step of `up` that can be done once more, or `mtu`: follow the MTU of the underlay device. */
export type Repair =
  | 'forwarding'
  | 'bridge'
  | 'tun'
  | 'route'
  | 'rp-filter'
  | 'nat'
  | 'firewall'
  | 'dhcp'
  | 'mtu';

/** Puts back what somebody else changed on the host since `up`, for the fans that are up. */
export interface RepairRequest {
  repairs: Repair[];
}

export interface RepairReply {
  /** The steps that were done, in words. */
  done: string[];
}

/** What one check of `fanctl doctor` or `fanctl probe` found. */
export interface CheckResult {
  /** The name of the trouble: "forward-drop". */
  check: string;
  status: 'ok' | 'warn' | 'fail';
  severity: 'info' | 'minor' | 'major' | 'critical';
  /** What was seen, with the values that were read. */
  evidence: string;
  /** The command that mends it; empty where nothing is to be done. */
  fix: string;
  /** Of the two ways between this host and a peer, as this host sees it. */
  direction?: 'out' | 'in' | 'unknown';
}

export interface ErrorReply {
  error: { code: FanErrorCode; message: string };
}

/** What fanctl needs of the state file when no fand answers: each fan as it was last shown. */
export interface StateFile {
  version: 1;
  fans: { view: FanView; request: UpRequest }[];
}
