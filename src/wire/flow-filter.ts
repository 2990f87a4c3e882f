/**
 * Might a packet of a flow pass a filter? Runs the filter's program on a packet of which only some bits are known, and
 * follows both ways where they don't tell: while somebody traces, what can't match stays on the kernel's fast path.
 *
 * "Yes" may be wrong, "no" never is. Jumps go forward only, so each instruction is looked at once, with what all ways
 * to it have in common. What went through memory counts as unknown, as does the packet's length.
 */
import {
  ALU,
  DIV,
  FROM_X,
  INDIRECT,
  INSTRUCTION_WORDS,
  JA,
  JEQ,
  JGE,
  JGT,
  JMP,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  LDX_MSH,
  LSH,
  MOD,
  PACKET_LOADS,
  RET_A,
  RET_K,
  RSH,
  resultOf,
  TAX,
  TXA,
} from './packet-filter.js';

/** A packet of which bits are known: those that are 1 in `known`, and nothing of what is behind its end. */
export interface KnownPacket {
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
}

const AND = 0x50;
const OR = 0x40;
const ALL = 0xffffffff;
/** What a comparison may come to. */
const YES = 1;
const NO = 2;
/** Of each instruction: A and X as they are before it, each as its bits and its open bits. */
const STATE_WORDS = 4;

/**
 * A register is two u32: the bits that are known, and a 1 for each one that is open (0 in the bits). It may be anything
 * from `bits` to `bits | open`.
 */
export class FlowFilter {
  readonly #program: Uint32Array;
  readonly #reached: Uint8Array;
  readonly #states: Uint32Array;
  #a = 0;
  #aOpen = 0;
  #x = 0;
  #xOpen = 0;

  /** `program`: one that PacketFilter takes. */
  constructor(program: readonly number[]) {
    this.#program = Uint32Array.from(program);
    const count = program.length / INSTRUCTION_WORDS;
    this.#reached = new Uint8Array(count);
    this.#states = new Uint32Array(count * STATE_WORDS);
  }

  /** False only where no packet of these bits, which begins at `start` and is of any length, passes. */
  mayMatch(packet: KnownPacket, start: number): boolean {
    this.#reached.fill(0);
    this.#setA(0, 0);
    this.#setX(0, 0);
    this.#reach(0);
    for (let at = 0; at < this.#reached.length; at++) {
      if (this.#reached[at] === 0) continue;
      this.#resume(at);
      const code = this.#program[at * INSTRUCTION_WORDS]!;
      const k = this.#program[at * INSTRUCTION_WORDS + 3]!;
      if (code === RET_K) {
        if (k !== 0) return true;
      } else if (code === RET_A) {
        if ((this.#a | this.#aOpen) !== 0) return true;
      } else if ((code & 7) === JMP) this.#branch(at, code, k);
      else if (this.#step(code, k, packet, start)) this.#reach(at + 1);
    }
    return false;
  }

  #setA(bits: number, open: number): void {
    this.#a = bits >>> 0;
    this.#aOpen = open >>> 0;
  }

  #setX(bits: number, open: number): void {
    this.#x = bits >>> 0;
    this.#xOpen = open >>> 0;
  }

  /** Control may come to instruction `at` with the registers as they are now. */
  #reach(at: number): void {
    const states = this.#states;
    const i = at * STATE_WORDS;
    if (this.#reached[at] === 0) {
      this.#reached[at] = 1;
      states[i] = this.#a;
      states[i + 1] = this.#aOpen;
      states[i + 2] = this.#x;
      states[i + 3] = this.#xOpen;
      return;
    }
    const aOpen = states[i + 1]! | this.#aOpen | (states[i]! ^ this.#a);
    const xOpen = states[i + 3]! | this.#xOpen | (states[i + 2]! ^ this.#x);
    states[i] = this.#a & ~aOpen;
    states[i + 1] = aOpen;
    states[i + 2] = this.#x & ~xOpen;
    states[i + 3] = xOpen;
  }

  #resume(at: number): void {
    const states = this.#states;
    const i = at * STATE_WORDS;
    this.#setA(states[i]!, states[i + 1]!);
    this.#setX(states[i + 2]!, states[i + 3]!);
  }

  #branch(at: number, code: number, k: number): void {
    if (code === JA) {
      this.#reach(at + 1 + k);
      return;
    }
    const fromX = (code & FROM_X) !== 0;
    const outcomes = this.#compare(code & 0xf0, fromX ? this.#x : k, fromX ? this.#xOpen : 0);
    if (outcomes & YES) this.#reach(at + 1 + this.#program[at * INSTRUCTION_WORDS + 1]!);
    if (outcomes & NO) this.#reach(at + 1 + this.#program[at * INSTRUCTION_WORDS + 2]!);
  }

  /** A against an operand: YES, NO or both. */
  #compare(operation: number, bits: number, open: number): number {
    const a = this.#a;
    const most = (a | this.#aOpen) >>> 0;
    const otherMost = (bits | open) >>> 0;
    const anyOpen = this.#aOpen | open;
    switch (operation) {
      case JEQ:
        if (((a ^ bits) & ~anyOpen) !== 0) return NO;
        return anyOpen === 0 ? YES : YES | NO;
      case JGT:
        if (a > otherMost) return YES;
        return most <= bits ? NO : YES | NO;
      case JGE:
        if (a >= otherMost) return YES;
        return most < bits ? NO : YES | NO;
      default:
        if ((a & bits) !== 0) return YES;
        return (most & otherMost) === 0 ? NO : YES | NO;
    }
  }

  /** False where the program ends here in any case, without a match. */
  #step(code: number, k: number, packet: KnownPacket, start: number): boolean {
    if ((code & 7) === ALU) {
      const fromX = (code & FROM_X) !== 0;
      return this.#compute(code & 0xf0, fromX ? this.#x : k, fromX ? this.#xOpen : 0);
    }
    if (PACKET_LOADS.has(code)) this.#load(code, k, packet, start);
    else this.#move(code, k);
    return true;
  }

  #compute(operation: number, bits: number, open: number): boolean {
    const a = this.#a;
    const aOpen = this.#aOpen;
    if ((operation === DIV || operation === MOD) && (bits | open) === 0) return false;
    if ((aOpen | open) === 0) this.#setA(resultOf(operation, a, bits), 0);
    else if (operation === AND) this.#setA(a & bits, (a | aOpen) & (bits | open) & ~(a & bits));
    else if (operation === OR) this.#setA(a | bits, (aOpen | open) & ~(a | bits));
    else if ((operation === LSH || operation === RSH) && open === 0) {
      this.#setA(resultOf(operation, a, bits), resultOf(operation, aOpen, bits));
    } else this.#setA(0, ALL);
    return true;
  }

  /** A load that may pass the packet's end goes on: it ends the program only where the packet is that short. */
  #load(code: number, k: number, packet: KnownPacket, start: number): void {
    const indirect = (code & 0xe0) === INDIRECT;
    if (indirect && this.#xOpen !== 0) {
      this.#setA(0, ALL);
      return;
    }
    const from = start + k + (indirect ? this.#x : 0);
    const size = code === LDX_MSH ? 1 : 4 >> ((code & 0x18) >> 3);
    let bits = 0;
    let open = 0;
    for (let i = from; i < from + size; i++) {
      const known = packet.known[i] ?? 0;
      bits = (bits << 8) | ((packet.bytes[i] ?? 0) & known);
      open = (open << 8) | (~known & 0xff);
    }
    if (code === LDX_MSH) this.#setX((bits & 15) << 2, (open & 15) << 2);
    else this.#setA(bits, open);
  }

  /** Between registers and constants. */
  #move(code: number, k: number): void {
    switch (code) {
      case LD_IMM:
        this.#setA(k, 0);
        break;
      case LDX_IMM:
        this.#setX(k, 0);
        break;
      case LD_MEM:
      case LD_LEN:
        this.#setA(0, ALL);
        break;
      case LDX_MEM:
      case LDX_LEN:
        this.#setX(0, ALL);
        break;
      case TAX:
        this.#setX(this.#a, this.#aOpen);
        break;
      case TXA:
        this.#setA(this.#x, this.#xOpen);
        break;
    }
  }
}
