/**
 * What fanctl and fand say to each other: JSON over HTTP on a Unix socket in UFAN_RUN_DIR, and the files beside
 * it. `curl --unix-socket /run/ufan/fand.sock http://fand/v1/fans` works as well.
 *
 *   GET    /v1/status           → DaemonStatus
 *   GET    /v1/fans             → FanView[]
 *   POST   /v1/fans             UpRequest   → UpReply
 *   DELETE /v1/fans             DownRequest → DownReply
 *   POST   /v1/restore          → RestoreReply                 (the fans that a fand before this one left)
 *   POST   /v1/handover         → HandoverReply                (another fand goes on in place of this one)
 *   GET    /v1/stats            → Stats
 *   GET    /v1/offenders        → Offender[]
 *   POST   /v1/repair           RepairRequest → RepairReply
 *   GET    /v1/activity         → Activity
 *   GET    /metrics             → Prometheus' text format
 *   POST   /v1/trace            TraceRequest → TraceLine, one a line, until the client closes the connection
 *   DELETE /v1/trace            EndTraceRequest → {}
 *   POST   /v1/explain          ExplainRequest → Explanation   (changes nothing)
 *   POST   /v1/probe            ProbeRequest → ProbeReply      (takes some seconds)
 * An error is any status of 400 or more with an ErrorReply. fand leaves when its last fan is down; a request that
 * comes then is not begun and has the error "leaving".
 */
import { resolve } from 'node:path';
import type { DropReasonName } from '../base/drop-reason.js';
import type { FanErrorCode } from '../base/error.js';
import type { FanOptions } from '../config/fan-options.js';
import type { AddressExplanation, Verdict } from '../fan/explanation.js';
import type { Neighbour, Route } from '../host/route-lookup.js';
import type { TraceLine } from '../trace/trace-lines.js';

export type { TraceLine };

export interface RunPaths {
  dir: string;
  socket: string;
  pid: string;
  lock: string;
  state: string;
  log: string;
  /** For what outlives a boot: leases, and the ports that the next `up` plugs in again. */
  stateDir: string;
}

/** Of a host's own fand. */
export const RUN_DIR = '/run/ufan';
const STATE_DIR = '/var/lib/ufan';

/** Hosts that share a file system, as namespaces of one machine do, have a run directory each, and all else in it. */
export function runPaths(given = process.env.UFAN_RUN_DIR || RUN_DIR): RunPaths {
  const dir = resolve(given);
  return {
    dir,
    stateDir: resolve(process.env.UFAN_STATE_DIR || (dir === RUN_DIR ? STATE_DIR : `${dir}/state`)),
    socket: `${dir}/fand.sock`,
    pid: `${dir}/fand.pid`,
    lock: `${dir}/fand.lock`,
    state: `${dir}/state.json`,
    log: `${dir}/fand.log`,
  };
}

/** fand's exit status where another one holds the run directory. */
export const EXIT_LOCKED = 3;

export interface DaemonStatus {
  pid: number;
  version: string;
  /** Inode of the network namespace it serves, as in `readlink /proc/PID/ns/net`. */
  netns: string;
  /** Its forwarding threads, as many as it has or will have with the first fan. */
  workers: number;
  /** Whether a change of its fans is under way, such as an `up`; a fand before 0.2 does not say. */
  changing?: boolean;
}

/** degraded: it is up, and `fanctl doctor` would call something a failure. */
export type FanState = 'up' | 'degraded' | 'dead';

/** One thing that is wrong with a fan, as fand last found it. */
export interface HealthEntry {
  /** The name of a check of `fanctl doctor`. */
  check: string;
  /** ISO 8601. */
  since: string;
  evidence: string;
  /** The command that mends it. */
  fix: string;
}

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
  /** The I/O mode in use: "raw", "packet" or "bpf". */
  io: string;
  /** Faster ways that were passed over, with the reason: "packet: wg0 is no Ethernet device". */
  ioNotes: string[];
  /** What programs of it do that somebody detached from their device: "encap", "GSO shim". Absent: none. */
  detached?: string[];
  /** Threads that forward for it. */
  workers: number;
  state: FanState;
  /** What is wrong with it; empty where nothing is known to be. */
  health: HealthEntry[];
  /** As in the text form: "dhcp host-reserve 1". */
  flags: string;
}

export interface UpRequest {
  /** In text, as config/ formats them: "250.0.0.0/8", "eth0/16". */
  overlay: string;
  underlay: string;
  options: FanOptions;
  /**
   * Where it is up already: "same" refuses other flags than it has, and is what is meant where nothing is said; "strict"
   * refuses in any case, "keep" in none.
   */
  ifUp?: 'same' | 'strict' | 'keep';
}

export interface UpReply {
  bridge: string;
  /** "kept": it was up already and was left alone. */
  outcome: 'new' | 'restored' | 'kept';
  /** What the operator should know; printed to stderr. */
  notes: string[];
}

/** Either both of overlay and underlay, or every. */
export interface DownRequest {
  overlay?: string;
  underlay?: string;
  every?: boolean;
  /** Also where containers are on the bridge. */
  force?: boolean;
}

export interface DownReply {
  bridges: string[];
  notes: string[];
  /** True when that was the last fan and fand is about to leave. */
  last: boolean;
}

export interface RestoreReply {
  /** What could not be restored, and why. */
  notes: string[];
}

/** Another fand answers from now on. */
export interface HandoverReply {
  pid: number;
  /** For how long at most nobody forwarded but programs in the kernel; null where there was nothing to forward. */
  pausedMs: number | null;
}

export type Counters = Record<string, number>;

export interface Stats {
  host: { counters: Counters };
  fans: { bridge: string; overlay: string; underlay: string; io: string; counters: Counters }[];
}

export interface ExplainRequest {
  /** "250.0.27.2" */
  address: string;
  /** The sender of the packet; by default this host. */
  from?: string;
  /** The device of this host that the sender's packet comes in by; by default that which leads to the sender. */
  by?: string;
}

/** What this host does with a packet other than the fan means to: a name of a check of doctor, or of probe. */
export type HostVerdict =
  | 'fan-dead'
  | 'bridge-changed'
  | 'tun-changed'
  | 'ip-forward-off'
  | 'route-missing'
  | 'route-overridden'
  | 'forward-drop'
  | 'overlay-nat'
  | 'protocol-4-blocked'
  | 'udp-blocked'
  | 'address-changed'
  | 'underlay-down'
  | 'underlay-unreachable';

/** What `fanctl explain --json` prints. */
export interface Explanation extends Omit<AddressExplanation, 'verdict'> {
  /** The arithmetic's, unless this host stops a packet that would be delivered by it. */
  verdict: Verdict | HostVerdict;
  /** What this host does with it; null where the arithmetic alone was asked for. */
  here: ExplainedHost | null;
}

export interface ExplainedHost {
  bridge: string;
  tun: string;
  state: FanState;
  io: string;
  ioNotes: string[];
  /**
   * Of the packet itself, as its sender's; from the gateway where none was named. Null for an underlay address, for what
   * stays on the bridge or does not come by here, or where none leads there.
   */
  innerRoute: Route | null;
  /** Of the outer packet, from the underlay address; null where none leads there. */
  route: Route | null;
  neighbour: Neighbour | null;
  mtu: {
    /** The least and the most of the bridge's ports; null where it has none. */
    containers: { least: number; most: number } | null;
    /** Null where the device is gone. */
    bridge: number | null;
    tun: number | null;
    /** What the fan has learnt of the path to the host, outer header included; null where nothing. */
    path: number | null;
    underlay: number | null;
  };
  /** What is not as `up` left it. */
  notes: string[];
}

export interface ProbeRequest {
  /** A peer's underlay address, or an overlay address that it owns. */
  target: string;
  /** Echoes and probes of each kind, 1 to 20. */
  count: number;
}

export interface ProbeReply {
  bridge: string;
  overlay: string;
  io: string;
  /** Underlay addresses, and the slice of the peer. */
  from: string;
  host: string;
  slice: string;
  /** What was done, in order. */
  steps: ProbeStep[];
  checks: CheckResult[];
  /** Whether a check could not be run. */
  incomplete: boolean;
}

export interface ProbeStep {
  name: string;
  text: string;
  /** The median round trip, where the step has one. */
  rttMs: number | null;
}

/** What a monitor wants to know: two of them, and the difference of their uptimes, make rates. */
export interface Activity {
  pid: number;
  version: string;
  hostname: string;
  /** When fand started, Unix time. */
  startedMs: number;
  uptimeMs: number;
  /** Of all its threads. */
  cpuMs: number;
  rssBytes: number;
  openFiles: number;
  /** Of its forwarding threads: their time on a CPU, and the packets that each took in on either side. */
  workers: { cpuMs: number; packets: number }[];
  fans: FanView[];
  stats: Stats;
  peers: PeerActivity[];
  pathMtus: PathMtu[];
}

/** Packets as on the wire and inner bytes, since the peer was first seen; they may begin anew. */
export interface PeerActivity {
  bridge: string;
  /** Underlay address. */
  peer: string;
  txPackets: number;
  txBytes: number;
  rxPackets: number;
  rxBytes: number;
}

/** A path that takes less than the underlay device. */
export interface PathMtu {
  /** Underlay address. */
  peer: string;
  /** Bytes of an outer packet. */
  mtu: number;
  expiresInMs: number;
}

/** What to trace; see TraceSpec of dataplane/tracing/protocol.ts. */
export interface TraceRequest {
  /** Classic BPF, four numbers an instruction; without it every packet. */
  program?: number[];
  /** Of one fan only. */
  bridge?: string;
  dropsOnly?: boolean;
  /** Bytes of each packet at most, and of each super-packet, which stands for several on the wire; as many unless told. */
  snapLen: number;
  burstSnapLen?: number;
  /** What passes these is lost, and counted. */
  recordsPerSecond: number;
  bytesPerSecond: number;
}

/** Ends a trace; the last of its lines come on the stream, and then its end. */
export interface EndTraceRequest {
  /** As its `started` line says. */
  session: number;
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

/** A kind of step of `up` that can be done once more. */
/** Steps of `up` by their kind, and the relays, which are none. */
export type Repair =
  | 'forwarding'
  | 'bridge'
  | 'tun'
  | 'vxlan-device'
  | 'route'
  | 'rp-filter'
  | 'guard'
  | 'isolate'
  | 'layer2-guard'
  | 'nat'
  | 'firewall'
  | 'dhcp'
  | 'relay'
  | 'programs';

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
