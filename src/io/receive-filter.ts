/**
 * What a worker's raw socket receives, as a program of classic BPF (bpf(4), Documentation/networking/filter.rst) that
 * the kernel runs on each IP-in-IP packet of the host, outer header first and reassembled.
 *
 * Every raw socket gets a copy of every packet. So that of several workers exactly one takes it, and the same one all
 * packets of an inner flow, each takes a share: those whose hash, modulo the workers, is its number. The hash is of
 * the inner addresses, and of the ports of TCP and UDP where the packet is no fragment; what is too short for an inner
 * header is the first worker's.
 */

/** One worker's part of the packets: `index` of `count`, from 0. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** Of a worker without others. */
export const ALL: Share = { index: 0, count: 1 };

/** Of an instruction, without the jumps: code and k. linux/bpf_common.h names the codes. */
const LD_IFINDEX = [0x20, 0xfffff008] as const;
const LD_PACKET_TYPE = [0x20, 0xfffff004] as const;
const LD_LEN = [0x80, 0] as const;
const LDX_OUTER_LEN = [0xb1, 0] as const;
const TAX = [0x07, 0] as const;
const TXA = [0x87, 0] as const;
const SUB_X = [0x1c, 0] as const;
const ADD_X = [0x0c, 0] as const;
const XOR_X = [0xac, 0] as const;
const LD_W = 0x20;
const LD_B = 0x30;
const LD_H = 0x28;
/** SKF_NET_OFF: offsets from here on are those of the IPv4 header. */
const NETWORK_HEADER = 0xfff00000;
const UDP_LENGTH_AT = 4;
const UDP_HEADER_LEN = 8;
const LD_W_X = 0x40;
const LD_H_X = 0x48;
const LD_B_X = 0x50;
const ADD = 0x04;
const MUL = 0x24;
const AND = 0x54;
const LSH = 0x64;
const RSH = 0x74;
const MOD = 0x94;
const ST = 0x02;
const LDX_MEM = 0x61;
const STX = 0x03;
const JEQ = 0x15;
const JGE = 0x35;
const JGE_X = 0x3d;
const JSET = 0x45;
const RET = 0x06;

const TAKE = [RET, 0xffffffff] as const;
const LEAVE = [RET, 0] as const;

/** PACKET_HOST (packet(7)): in a frame for this host. */
const FOR_US = 0;
const ETHERNET_LEN = 14;
const IPIP = 4;
/** Version 4 and a header of 20 bytes: without options. */
const PLAIN_START = 0x45;
const TOP_LOOPBACK = 127;
/** From here on addresses are of groups or reserved. */
const TOP_MULTICAST = 224;

/** In an IPv4 header. */
const FRAGMENT_AT = 6;
const FRAGMENT_BITS = 0x3fff;
const PROTOCOL_AT = 9;
const SOURCE_AT = 12;
const DESTINATION_AT = 16;
const HEADER_LEN = 20;
const PORTS_LEN = 4;
const TCP = 6;
const UDP = 17;

/** Odd numbers with bits all over, as in the finalizer of MurmurHash3. */
const MIX = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const;
/** The scratch memory's words. */
const HASH = 0;
const OUTER_LEN = 1;
const TRANSPORT = 2;

/** A jump skips 255 instructions at most. Of more, those that are left out are refused as any forged source is. */
const MOST_OWN = 200;

type Statement = readonly [code: number, k: number];
/** A label, a statement, or a jump to labels, of which an empty one stands for what comes next. */
type Line = string | Statement | readonly [code: number, k: number, yes: string, no: string];

/**
 * The program for a worker's raw socket, four words an instruction (native.rawFilter): nothing of what came in by the
 * devices to the addresses in `ignored`, pairs [index of the device, host-order address], but for packets with options;
 * and of the rest its share.
 */
export function receiveFilter(ignored: readonly (readonly [number, number])[], share: Share): Uint32Array {
  return assemble([
    ...ignored.flatMap(([device, address], i) => ignoring(device, address, `behind ${i}`)),
    ...(share.count === 1 ? [TAKE] : sharing(share)),
  ]);
}

function ignoring(device: number, address: number, behind: string): Line[] {
  return [
    LD_IFINDEX,
    [JEQ, device, '', behind],
    [LD_W, DESTINATION_AT],
    [JEQ, address, '', behind],
    [LD_B, 0],
    [JEQ, PLAIN_START, '', behind],
    LEAVE,
    behind,
  ];
}

/**
 * The program for a packet socket, of Ethernet frames: IP-in-IP for this host to `address`, as far as it needs nothing of
 * the kernel's IP layer. What has options is the kernel's to read, and comes by the raw socket; from `own` (u32), which are
 * addresses of this host or of all on a link, from loopback or a group, nothing comes: those the guard counts.
 */
export function frameFilter(address: number, own: readonly number[]): Uint32Array {
  return assemble([
    LD_PACKET_TYPE,
    [JEQ, FOR_US, '', 'leave'],
    [LD_B, ETHERNET_LEN],
    [JEQ, PLAIN_START, '', 'leave'],
    [LD_B, ETHERNET_LEN + PROTOCOL_AT],
    [JEQ, IPIP, '', 'leave'],
    [LD_W, ETHERNET_LEN + DESTINATION_AT],
    [JEQ, address, '', 'leave'],
    [LD_B, ETHERNET_LEN + SOURCE_AT],
    [JEQ, 0, 'leave', ''],
    [JEQ, TOP_LOOPBACK, 'leave', ''],
    [JGE, TOP_MULTICAST, 'leave', ''],
    [LD_W, ETHERNET_LEN + SOURCE_AT],
    ...own.slice(0, MOST_OWN).map((each): Line => [JEQ, each, 'leave', '']),
    TAKE,
    'leave',
    LEAVE,
  ]);
}

/** What a datagram for a UDP socket must be. */
export interface DatagramForm {
  /** It comes from this port, */
  readonly port: number;
  /** from one of these networks, base and mask as u32, */
  readonly networks: readonly (readonly [base: number, mask: number])[];
  /** begins with this byte, and is no longer than this. */
  readonly firstByte: number;
  readonly mostBytes: number;
}

/** The program for a UDP socket, whose packets begin with the UDP header (RFC 768): what it leaves takes no room in the buffer. */
export function datagramFilter({ port, networks, firstByte, mostBytes }: DatagramForm): Uint32Array {
  return assemble([
    [LD_H, 0],
    [JEQ, port, '', 'leave'],
    [LD_H, UDP_LENGTH_AT],
    [JGE, UDP_HEADER_LEN + mostBytes + 1, 'leave', ''],
    [LD_B, UDP_HEADER_LEN],
    [JEQ, firstByte, '', 'leave'],
    ...networks.flatMap(([base, mask]): Line[] => [
      [LD_W, NETWORK_HEADER + SOURCE_AT],
      [AND, mask],
      [JEQ, base, 'take', ''],
    ]),
    'leave',
    LEAVE,
    'take',
    TAKE,
  ]);
}

function sharing({ index, count }: Share): Line[] {
  return [
    ...hashingAddresses(),
    ...hashingPorts(),
    'decide',
    [LDX_MEM, HASH],
    TXA,
    [RSH, 15],
    XOR_X,
    [MUL, MIX[3]],
    [RSH, 20],
    [MOD, count],
    [JEQ, index, 'take', 'leave'],
    'short',
    ...(index === 0 ? [] : [LEAVE]),
    'take',
    TAKE,
    'leave',
    LEAVE,
  ];
}

/** A load behind the packet's end would end the program without a match: lengths come first. */
function hashingAddresses(): Line[] {
  return [
    LDX_OUTER_LEN,
    LD_LEN,
    [JGE_X, 0, '', 'short'],
    SUB_X,
    [JGE, HEADER_LEN, '', 'short'],
    [STX, OUTER_LEN],
    [LD_W_X, SOURCE_AT],
    [MUL, MIX[0]],
    [ST, HASH],
    [LD_W_X, DESTINATION_AT],
    [MUL, MIX[1]],
    [LDX_MEM, HASH],
    ADD_X,
    [ST, HASH],
  ];
}

function hashingPorts(): Line[] {
  return [
    [LDX_MEM, OUTER_LEN],
    [LD_H_X, FRAGMENT_AT],
    [JSET, FRAGMENT_BITS, 'decide', ''],
    [LD_B_X, PROTOCOL_AT],
    [JEQ, TCP, 'ports', ''],
    [JEQ, UDP, 'ports', 'decide'],
    'ports',
    [LD_B_X, 0],
    [AND, 15],
    [LSH, 2],
    [JGE, HEADER_LEN, '', 'decide'],
    ADD_X,
    [ST, TRANSPORT],
    [ADD, PORTS_LEN],
    TAX,
    LD_LEN,
    [JGE_X, 0, '', 'decide'],
    [LDX_MEM, TRANSPORT],
    [LD_W_X, 0],
    [MUL, MIX[2]],
    [LDX_MEM, HASH],
    ADD_X,
    [ST, HASH],
  ];
}

/** Labels become the instructions to skip; all jumps go forward. */
function assemble(lines: readonly Line[]): Uint32Array {
  const at = new Map<string, number>();
  let count = 0;
  for (const line of lines) {
    if (typeof line === 'string') at.set(line, count);
    else count++;
  }
  const words: number[] = [];
  for (const line of lines) {
    if (typeof line === 'string') continue;
    const next = words.length / 4 + 1;
    const skip = (label: string | undefined): number => (label ? at.get(label)! - next : 0);
    words.push(line[0], skip(line[2]), skip(line[3]), line[1]);
  }
  return Uint32Array.from(words);
}
