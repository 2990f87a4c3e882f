/**
 * What comes for a port of VXLAN, and the kernel's VXLAN devices drop in silence: with headers cut short or that are none, of a VNI that
 * no device has, marked for congestion where the frame can't say so. A raw socket has a copy of it, so that it is counted as
 * where a socket of ours has the port (RFC 7348 §5, RFC 6040 §4.2). Nothing of it can be for anybody.
 */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import type { RxDevice } from './device.js';
import type { UdpAddress } from './udp-socket.js';

const PROTOCOL_UDP = 17;
const BUFFER_BYTES = 1 << 20;
/** Of one filter, whose jumps reach over 255 instructions. */
const MOST_VNIS = 200;

/** Codes of classic BPF, linux/bpf_common.h. */
const LDX_OUTER_LEN = [0xb1, 0] as const;
const LD_LEN = [0x80, 0] as const;
const SUB_X = [0x1c, 0] as const;
const LD_W_X = 0x40;
const LD_H_X = 0x48;
const LD_B_X = 0x50;
const LD_B = 0x30;
const AND = 0x54;
const JEQ = 0x15;
const JGE = 0x35;
const RET = 0x06;

/** Behind the outer header, of any length: its bytes are counted from X on. */
const UDP_LEN = 8;
const TARGET_PORT_AT = 2;
const VXLAN_AT = UDP_LEN;
const FRAME_AT = VXLAN_AT + 8;
const TYPE_AT = FRAME_AT + 12;
const INNER_AT = FRAME_AT + 14;
const VALID = 0x08000000;
const CE = 3;
const [IPV4, IPV6] = [0x0800, 0x86dd];
const [IPV4_LEN, IPV6_LEN] = [20, 40];
/** Of the first 16 bits of an IPv6 header. */
const IPV6_ECN = 0x30;

type Instruction = readonly [code: number, k: number, whenTrue?: string, whenFalse?: string];

export class VxlanStrays implements RxDevice {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Hears nothing until it knows the VNIs of the devices. Throws an Error with {code, errno, syscall}. */
  static open({ address, port }: UdpAddress): VxlanStrays {
    const fd = native.rawOpen({
      protocol: PROTOCOL_UDP,
      bindAddress: address >>> 0,
      receiveBufferBytes: BUFFER_BYTES,
    });
    const strays = new VxlanStrays(fd);
    strays.hear(port, []);
    return strays;
  }

  /** One that a process before us opened there; what it hears stays as it is until hear(). */
  static adopt(fd: number): VxlanStrays {
    return new VxlanStrays(fd);
  }

  /** `vnis`: of the devices; of too many, or none, it hears nothing. */
  hear(port: number, vnis: readonly number[]): void {
    const hears = vnis.length > 0 && vnis.length <= MOST_VNIS;
    native.rawFilter(this.fd, assembled(hears ? filter(port, vnis) : [[RET, 0]]));
  }

  /** As UdpReceiver.receive. */
  receive(batch: PacketBatch): number {
    const { slab, view } = batch;
    const count = native.rawReceive(this.fd, slab, batch.descriptors, batch.capacity);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'recvmmsg');
    for (let i = 0; i < count; i++) {
      const off = batch.offset(i);
      const before = (slab[off]! & 15) * 4 + UDP_LEN;
      batch.setAddress(i, view.getUint32(off + 12));
      batch.setTag(i, (slab[off + 8]! << 8) | slab[off + 1]!);
      batch.setRange(i, off + before, Math.max(0, batch.length(i) - before));
    }
    return count;
  }

  close(): void {
    native.close(this.fd);
  }
}

/** Of a packet with its outer header, as raw sockets see it; what is read beyond its end makes the kernel leave it. */
function filter(port: number, vnis: readonly number[]): (Instruction | string)[] {
  return [
    LDX_OUTER_LEN,
    [LD_H_X, TARGET_PORT_AT],
    [JEQ, port, '', 'leave'],
    LD_LEN,
    SUB_X,
    [JGE, INNER_AT, '', 'stray'],
    [LD_W_X, VXLAN_AT],
    [JEQ, VALID, '', 'stray'],
    [LD_W_X, VXLAN_AT + 4],
    ...vnis.map((vni): Instruction => [JEQ, (vni << 8) >>> 0, 'known']),
    'stray',
    [RET, 0xffffffff],
    'known',
    [LD_H_X, TYPE_AT],
    [JEQ, IPV6, 'ipv6'],
    [JEQ, IPV4, '', 'leave'],
    LD_LEN,
    SUB_X,
    [JGE, INNER_AT + IPV4_LEN, '', 'also'],
    [LD_B, 1],
    [AND, CE],
    [JEQ, CE, '', 'leave'],
    [LD_B_X, INNER_AT + 1],
    [AND, CE],
    [JEQ, 0, 'also', 'leave'],
    'ipv6',
    LD_LEN,
    SUB_X,
    [JGE, INNER_AT + IPV6_LEN, '', 'also'],
    [LD_B, 1],
    [AND, CE],
    [JEQ, CE, '', 'leave'],
    [LD_H_X, INNER_AT],
    [AND, IPV6_ECN],
    [JEQ, 0, '', 'leave'],
    'also',
    [RET, 0xffffffff],
    'leave',
    [RET, 0],
  ];
}

/** A label stands before the instruction that it names; '' is the next one. */
function assembled(lines: readonly (Instruction | string)[]): Uint32Array {
  const labels = new Map<string, number>();
  const instructions: Instruction[] = [];
  for (const line of lines) {
    if (typeof line === 'string') labels.set(line, instructions.length);
    else instructions.push(line);
  }
  const distance = (at: number, label: string) => (label === '' ? 0 : labels.get(label)! - at - 1);
  return Uint32Array.from(
    instructions.flatMap(([code, k, yes = '', no = ''], at) => [
      code,
      distance(at, yes),
      distance(at, no),
      k,
    ]),
  );
}
