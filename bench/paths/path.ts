/**
 * A path is a way from a container on one host to a container on another. Every path is built in a lab of its own
 * (same hosts, same containers), so that all stand ready at once and repeats can take turns.
 */
import type { Lab } from '../lab/lab.js';
import type { Namespace } from '../lab/namespace.js';

export interface PathEnds {
  client: Namespace;
  server: Namespace;
  /** Where the client reaches the server. */
  serverAddress: string;
  /** What the results should say of how the path was set up. */
  notes?: readonly string[];
}

export interface BenchPath {
  /** One word, for --only and the results. */
  name: string;
  title: string;
  /**
   * - limit: no tunnel; kernel: the kernel's tunnel; fan: ours; plain: the simplest userspace tunnel;
   * - peer: another project's userspace tunnel. One that can't run here is reported and left out.
   */
  kind: 'limit' | 'kernel' | 'fan' | 'plain' | 'peer';
  /** Sets up a lab of two hosts with one container each. The lab's removal undoes it all. */
  setUp(lab: Lab): Promise<PathEnds>;
}
