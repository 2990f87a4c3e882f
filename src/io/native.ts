/**
 * The only loader of the addon, and its types (connect.ts has the second one). native/ moves bytes and decides nothing.
 *
 * Calls that set something up throw an Error with {code: 'EPERM', errno: 1, syscall: 'socket'}. Calls on the
 * packet path return a count, or a negative errno. All file descriptors are close-on-exec and non-blocking.
 * `slab` and `descriptors` are those of a PacketBatch; native code checks every offset and length.
 */
import { createRequire } from 'node:module';

export interface TunInfo {
  fd: number;
  /** The kernel's name for the device. */
  name: string;
  /** TUN_F_* bits that the kernel accepted (CSUM 1, TSO4 2, TSO6 4, USO4 0x20, USO6 0x40). */
  offloads: number;
}

export interface RawSocketOptions {
  /** IP protocol: 4 receives IPIP, 1 ICMP, 17 UDP, 255 (IPPROTO_RAW) only sends, with our own header. */
  protocol: number;
  /** Local IPv4 address to bind, host order; 0 = any. */
  bindAddress?: number;
  sendBufferBytes?: number;
  receiveBufferBytes?: number;
  /** SO_MARK of what is sent. */
  mark?: number;
  /** For protocol 1: bit mask of ICMP types to receive (bit n = type n). */
  icmpTypes?: number;
  /** Of each packet received, the index of its device becomes the descriptor's tag; else that is 0. */
  tellDevice?: boolean;
}

export interface ProgramHandles {
  link: number;
  config: number;
  counters: number;
  peers: number;
  flows: number;
  program: number;
}

export interface BridgeExitHandles {
  link: number;
  ports: number;
}

/** Opaque, as is the next. */
export type ReadableWatch = object;
export type RingHandle = object;

export interface Native {
  /** An io_uring for what one thread reads from TUNs, and writes to them. It is closed with the last mention of it, too. */
  ringOpen(): RingHandle;
  /** Idempotent; who is given it afterwards does without. */
  ringClose(ring: RingHandle): void;

  /**
   * Opens or attaches to a TUN (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, IFF_MULTI_QUEUE where told) and sets the most
   * offloads it takes of `offloads`.
   */
  tunOpen(name: string, offloads: number, multiQueue: boolean): TunInfo;
  /** TUNSETQUEUE: this queue of a multi-queue TUN gets nothing to read any more; writes still work. */
  tunDetachQueue(fd: number): void;
  /** TUNSETPERSIST: whether the device outlives its last descriptor. */
  tunPersist(fd: number, persist: boolean): void;
  /** Reads packets into the slab, several by one entry where there is a ring; returns the count or −errno (EAGAIN is 0). */
  tunRead(
    fd: number,
    ring: RingHandle | null,
    slab: Uint8Array,
    descriptors: Uint32Array,
    capacity: number,
  ): number;
  /**
   * Writes packets. CSUM_UNKNOWN is resolved; runs of one flow go as one super-packet, of the protocols in `merge`
   * (MERGE_TCP 1, MERGE_UDP 2).
   * `mtu` bounds the gso size of super-packets whose segment size is unknown. Returns the count of failures.
   */
  tunWrite(
    fd: number,
    ring: RingHandle | null,
    slab: Uint8Array,
    descriptors: Uint32Array,
    count: number,
    mtu: number,
    merge: number,
  ): number;

  /** The same of a TAP: packets begin with their Ethernet header, and so do offsets in descriptors; `mtu` is without it. */
  tapOpen(name: string, offloads: number, multiQueue: boolean): TunInfo;
  tapRead: Native['tunRead'];
  tapWrite: Native['tunWrite'];

  /**
   * A UDP socket at `address` (host order) and `port` (0: any), of `device` alone unless that is ''. `ttl` of what is sent,
   * 0 for the system's; `shared`: beside others like it, flow by flow.
   */
  udpOpen(
    address: number,
    port: number,
    device: string,
    bufferBytes: number,
    ttl: number,
    shared: boolean,
  ): number;
  /** The local port of a UDP socket. */
  udpPort(fd: number): number;
  /**
   * recvmmsg of datagrams, those of a burst one by one, flags CSUM_UNKNOWN; `capacity` of at least 64. address: the sender's,
   * note: its port, tag: TTL and TOS, a byte each. Count or −errno (EAGAIN is 0).
   */
  udpReceive(fd: number, slab: Uint8Array, descriptors: Uint32Array, capacity: number): number;
  /**
   * sendmmsg of datagrams to `port` of each one's address, by the socket that the upper byte of its note says, modulo
   * their number, with the lower byte as TOS. Super-packets behind 22 bytes of VXLAN and Ethernet are segmented, and
   * partial checksums completed. Returns the count of failures.
   */
  udpSend(fds: Int32Array, port: number, slab: Uint8Array, descriptors: Uint32Array, count: number): number;

  rawOpen(options: RawSocketOptions): number;
  /**
   * Lets a raw socket receive only what a program of classic BPF takes, four words an instruction: code, jt, jf, k.
   * Replaces what was set before.
   */
  rawFilter(fd: number, program: Uint32Array): void;
  /** recvmmsg of whole IP packets (outer header first), flags CSUM_UNKNOWN; count or −errno (EAGAIN is 0). */
  rawReceive(fd: number, slab: Uint8Array, descriptors: Uint32Array, capacity: number): number;
  /** Whether the kernel lets rawSend name each packet's protocol (Linux 6.4). Asks the kernel, and sends nothing. */
  rawCanNameProtocol(fd: number): boolean;
  /**
   * sendmmsg of IP packets with their own header to `address`; super-packets are segmented and partial checksums
   * completed; `outerLen` bytes of header stand before the inner packet. `namesProtocol`: IPsec policies and routing
   * rules see each packet's protocol, else 255. Returns the count of failures.
   */
  rawSend(
    fd: number,
    slab: Uint8Array,
    descriptors: Uint32Array,
    count: number,
    outerLen: number,
    namesProtocol: boolean,
  ): number;

  /**
   * An AF_PACKET socket for IPIP frames of a device to this outer destination (host order), fragments put together. With
   * the other sockets of its group (0: a new one) it shares them, flow by flow.
   */
  packetReceiverOpen(deviceIndex: number, address: number, bufferBytes: number, group: number): number;
  /** The group of a receiver: a number that is its own in the network namespace. */
  packetReceiverGroup(fd: number): number;
  /** An AF_PACKET socket that only sends; `shim`: with the mark that the GSO shim looks for. */
  packetSenderOpen(deviceIndex: number, bufferBytes: number, shim: boolean): number;
  /** Bytes, as the kernel accounts for them, that a socket has sent and that are still on their way; or −errno. */
  packetUnsent(fd: number): number;
  /**
   * recvmmsg of whole IP packets (outer header first) with the kernel's offload facts; count or −errno (EAGAIN is 0).
   * Adds to `lost[0]` the frames that the kernel could not hand over.
   */
  packetReceive(
    fd: number,
    slab: Uint8Array,
    descriptors: Uint32Array,
    capacity: number,
    lost: Uint32Array,
  ): number;
  /**
   * sendmmsg of packets with 14 bytes of Ethernet header in front of each; those with an error set already are left
   * out. Super-packets stay whole, or are segmented where `cut`; partial checksums of others are completed. `patient`:
   * it waits for a full queue longer than for that of a link. Returns the count of packets with an error.
   */
  packetSend(
    fd: number,
    slab: Uint8Array,
    descriptors: Uint32Array,
    count: number,
    cut: boolean,
    patient: boolean,
  ): number;
  /** Loads the shim from the bytes of its object file and attaches it to a device's egress; closing the result detaches. */
  gsoShimAttach(object: Uint8Array, deviceIndex: number): number;

  /**
   * Loads a fan's program from the bytes of its object file and attaches it to a device's egress, or ingress. It shares
   * `maps` of another one: config, counters, peers, flows; or none. The descriptors are the caller's to close; closing
   * `link` detaches.
   */
  programAttach(object: Uint8Array, deviceIndex: number, egress: boolean, maps: Uint32Array): ProgramHandles;
  /**
   * Names a program's link in a file system of type bpf: it stays attached until that file is removed, whatever becomes of
   * the descriptor.
   */
  programPin(link: number, path: string): void;
  /** What the program knows of its fan, the words of struct fan_config (native/bpf/fan_program.h). */
  programConfigure(config: number, words: Uint32Array): void;
  /** Index of the device that a program's `link` attaches it to, 0 where somebody detached it; or −errno. */
  programDevice(link: number): number;
  /** Marks a flow as untraced, the words of struct fan_flow: 0, or −errno. */
  programAddFlow(flows: number, words: Uint32Array): number;
  /** What the program has sent on, since it was attached. */
  programCount(counters: number): { packets: number; bytes: number };
  /** The same to, or from, each peer: address (host order), packets, inner bytes, one after the other. */
  programPeers(peers: number): Float64Array;
  /** Bytes of the longest outer packet to a peer (address in host order) of late: up to 17 s. 0: none. */
  programLargest(peers: number, address: number): number;
  /** Runs the program over an Ethernet frame (BPF_PROG_TEST_RUN) and puts what became of it into `out`. For tests. */
  programTest(program: number, frame: Uint8Array, out: Uint8Array): { verdict: number; length: number };

  /**
   * Loads the program that goes past a bridge from the bytes of its object file, for super-packets that came in by
   * `tunIndex`, and attaches it to the bridge's egress. The descriptors are the caller's to close; closing `link`
   * detaches.
   */
  bridgeExitAttach(object: Uint8Array, bridgeIndex: number, tunIndex: number): BridgeExitHandles;
  /**
   * Where the program sends what is for a MAC address (6 bytes): a port's index, or 0: by the bridge. 0 or −errno
   * (−E2BIG: it knows all that it can).
   */
  bridgeExitSetPort(ports: number, mac: Uint8Array, portIndex: number): number;

  /**
   * A netlink socket of this protocol (0 rtnetlink, 6 XFRM) that hears the multicast groups of a bit mask (bit n − 1 =
   * group n), or 0 for requests.
   */
  netlinkOpen(protocol: number, groups: number): number;
  /** Sends a request to the kernel, whose answer then waits; 0 or −errno. */
  netlinkSend(fd: number, bytes: Uint8Array): number;
  /** The next datagram into `bytes`: its length, 0 when none waits, or −errno (−ENOBUFS: some were lost). */
  netlinkReceive(fd: number, bytes: Uint8Array): number;

  /**
   * Calls `callback` on this thread's event loop, which it does not keep alive, when `fd` can be read: once, and once more
   * after each readableAgain. Ended by readableEnd, before `fd` is closed.
   */
  readableWatch(fd: number, callback: () => void): ReadableWatch;
  readableAgain(watch: ReadableWatch): void;
  readableEnd(watch: ReadableWatch): void;

  /** Packets that the kernel dropped because the socket's receive buffer was full, since it was opened. */
  socketDrops(fd: number): number;

  /** Cuts packet `index` of the batch as rawSend would (no outer header), contiguous into `out`; returns the [offset, length] pairs. Throws EINVAL for headers that contradict gsoType, ENOBUFS when `out` is too small. */
  segment(slab: Uint8Array, descriptors: Uint32Array, index: number, out: Uint8Array): Uint32Array;
  /** What tunWrite would write for these packets: virtio_net_hdr (10 bytes) + packet each, contiguous in `out`; returns the [offset, length] pairs. For tests. */
  mergeForTun(
    slab: Uint8Array,
    descriptors: Uint32Array,
    count: number,
    mtu: number,
    merge: number,
    out: Uint8Array,
  ): Uint32Array;
  /** Internet checksum (RFC 1071) of slab[offset, offset+length), as the number to store big-endian. */
  checksum(bytes: Uint8Array, offset: number, length: number): number;

  pollerOpen(): number;
  /** Watches `fd` for input; `token` comes back from pollerWait. */
  pollerAdd(poller: number, fd: number, token: number): void;
  pollerRemove(poller: number, fd: number): void;
  /** Waits at most timeoutMs (−1 = for ever); fills `ready` with tokens; returns the count or −errno (EINTR is 0). */
  pollerWait(poller: number, ready: Int32Array, timeoutMs: number): number;
  /** Sleeps for 0 to 999,999 µs. */
  pollerPause(us: number): void;

  eventOpen(): number;
  eventSignal(fd: number): void;
  /** Resets an eventfd after its poll. */
  eventClear(fd: number): void;

  /** A pipe: its end to read, its end to write. */
  pipeOpen(): [read: number, write: number];
  /** Of files that this thread makes from now on; returns the one before. EPERM without CAP_SETGID. */
  fileGroupSet(group: number): number;
  /** What confineAndExecute has kept open ends with the next program. */
  closeOnExec(fd: number): void;
  /**
   * Executes `path` anew in this process, with no other capabilities than those of `keep` (the sum of 2 ** n) that it has,
   * with no_new_privs, and with `inherited` still open (−1: nothing). `argv` from argv[0] on. Returns only by throwing;
   * then what was given up stays so.
   */
  confineAndExecute(path: string, argv: readonly string[], keep: number, inherited: number): void;

  close(fd: number): void;
  /** Opens (creating) and flocks a file exclusively; −EWOULDBLOCK as code EWOULDBLOCK when another holds it. */
  lockFile(path: string): number;
  /** A datagram to the service manager (sd_notify(3)); "@" in front: an abstract socket. */
  notify(path: string, text: string): void;
}

export const native: Native = createRequire(import.meta.url)('#native') as Native;
