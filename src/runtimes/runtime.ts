/**
 * What each container runtime has in common for fanatic: it is set up for a fan, and that is undone. Each has a file of
 * its own here; enable.ts is the frame around them, ledger.ts remembers what was done.
 */
import type { Prefix } from '../addr/prefix.js';
import type { Edit } from './config-edit.js';

/** A fan that is up, as a runtime needs to know it. */
export interface RuntimeFan {
  /** In text, as the line of /etc/network/fan has them, in the spelling of config/. */
  readonly overlay: string;
  readonly underlay: string;
  readonly bridge: string;
  readonly slice: Prefix;
  /** "250.0.28.1" */
  readonly gateway: string;
  /** Of the bridge, bytes. */
  readonly mtu: number;
  readonly hasDhcp: boolean;
  /** What DHCP gives, counted from the slice's own address; absent: all behind the reserve. */
  readonly dhcpRange?: readonly [first: number, last: number];
}

/** How the operator wants it. */
export interface Wishes {
  /** False: the operator restarts the runtime. */
  readonly restart: boolean;
  /** Also where running containers stop, or lose their network. */
  readonly force: boolean;
  /** Docker: a network of that name, instead of the default bridge. */
  readonly network?: string;
  /** With that: Docker makes no network, but keeps what one of its swarm takes from this host. */
  readonly configOnly?: boolean;
  /** The part of the slice that the runtime gives addresses from, in CIDR. */
  readonly range?: string;
}

/** What was set up, as the ledger has it: enough to undo it. */
export interface Entry {
  readonly runtime: string;
  readonly overlay: string;
  readonly underlay: string;
  readonly bridge: string;
  readonly network?: string;
  /** In CIDR; absent where DHCP gives the addresses. */
  readonly range?: string;
  /** Of the runtime's own files. */
  readonly edits: readonly Edit[];
  /** What was set in them. */
  readonly keys?: Readonly<Record<string, unknown>>;
}

/** What enable() did, and what the operator should know. */
export interface Setup extends Pick<Entry, 'edits' | 'keys'> {
  readonly notes: readonly string[];
}

export interface Runtime {
  /** As in enable-NAME. */
  readonly name: string;
  /** As people call it. */
  readonly title: string;
  /** Whether it takes addresses from a part of the slice by itself; else they come by DHCP. */
  readonly ownsRange: boolean;
  /** Whether one fan at a time is all that it can have, but for networks of their own. */
  readonly isSingle: boolean;
  /** Of `docker` and the like, which restart and may have running containers. */
  readonly restarts: boolean;
  /** Throws FanError unsupported, with the package, where it is not on this host. */
  requirePresent(): Promise<void>;
  /** Whether what was set up is still there. */
  isSetUp(entry: Entry): Promise<boolean>;
  /** Everything or nothing. `range` is undefined where the runtime takes none; `backups`: a directory for copies. */
  enable(fan: RuntimeFan, range: string | undefined, wishes: Wishes, backups: string): Promise<Setup>;
  /** Returns what the operator should know; bears that some or all of it has gone already. */
  disable(entry: Entry, wishes: Wishes): Promise<readonly string[]>;
}
