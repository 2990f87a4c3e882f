/**
 * Filters in the classic BPF of tcpdump (McCanne and Jacobson, 1993; bpf(4)): checked when loaded, then run on packets
 * that begin with their IPv4 header (DLT_RAW).
 *
 * tcpdump compiles the text, so this knows numbers only. A program can't loop (jumps go forward), reads nothing
 * outside the packet (such a load ends it without a match), and divides by no zero. Running allocates nothing.
 * flow-filter.ts runs the same programs on packets that are not all known.
 */
import { FanError } from '../base/error.js';

/** The kernel's limit as well. */
export const MAX_INSTRUCTIONS = 4096;
/** Numbers of an instruction: code, jt, jf, k. */
export const INSTRUCTION_WORDS = 4;
const MEMORY_WORDS = 16;

/** Classes, in the lowest three bits of a code (linux/bpf_common.h). */
export const ALU = 0x04;
export const JMP = 0x05;
/** Of ALU and JMP: the operand is X, not k. */
export const FROM_X = 0x08;
/** Operations of ALU, from 0x00 (add) in steps of 0x10 to this one. */
const XOR = 0xa0;
export const DIV = 0x30;
export const LSH = 0x60;
export const RSH = 0x70;
const NEG = 0x80;
export const MOD = 0x90;
/** Operations of JMP: always, equal, greater, greater or equal, bits in common. */
export const JA = 0x05;
export const JEQ = 0x10;
export const JGT = 0x20;
export const JGE = 0x30;
const JSET = 0x40;

/** The other codes whole. Loads from the packet have a size (0x18) and a mode (0xe0). */
const LD_W_ABS = 0x20;
const LD_H_ABS = 0x28;
const LD_B_ABS = 0x30;
export const INDIRECT = 0x40;
export const LD_IMM = 0x00;
export const LD_MEM = 0x60;
export const LD_LEN = 0x80;
export const LDX_IMM = 0x01;
export const LDX_MEM = 0x61;
export const LDX_LEN = 0x81;
export const LDX_MSH = 0xb1;
const ST = 0x02;
const STX = 0x03;
export const RET_K = 0x06;
export const RET_A = 0x16;
export const TAX = 0x07;
export const TXA = 0x87;
const JEQ_K = JEQ | JMP;
const AND_K = 0x50 | ALU;

export const PACKET_LOADS = new Set([LD_W_ABS, LD_H_ABS, LD_B_ABS, 0x40, 0x48, 0x50, LDX_MSH]);
const MEMORY_CODES = new Set([LD_MEM, LDX_MEM, ST, STX]);
const RETURNS = new Set([RET_K, RET_A]);
const KNOWN = new Set([
  ...[...PACKET_LOADS, ...MEMORY_CODES, ...RETURNS],
  ...[LD_IMM, LD_LEN, LDX_IMM, LDX_LEN, TAX, TXA],
]);

export class PacketFilter {
  /** Four words an instruction. */
  readonly #program: Uint32Array;
  readonly #memory = new Uint32Array(MEMORY_WORDS);
  readonly #usesMemory: boolean;
  /** The accumulator and the index register, u32. */
  #a = 0;
  #x = 0;

  /** `program`: code, jt, jf, k of each instruction, as `tcpdump -ddd` prints them. Throws FanError usage. */
  constructor(program: readonly number[]) {
    const fault = faultOf(program);
    if (fault !== undefined) throw new FanError('usage', `the filter's program is broken: ${fault}`);
    this.#program = Uint32Array.from(program);
    this.#usesMemory = program.some((code, i) => i % INSTRUCTION_WORDS === 0 && MEMORY_CODES.has(code));
  }

  /** Whether the packet of `length` bytes at `offset`, all of them there, passes. */
  matches(bytes: Uint8Array, offset: number, length: number): boolean {
    const program = this.#program;
    if (this.#usesMemory) this.#memory.fill(0);
    this.#x = 0;
    let a = 0;
    for (let at = 0; ; at += INSTRUCTION_WORDS) {
      const code = program[at]!;
      const k = program[at + 3]!;
      // What nearly all of a filter is made of stands here; a call for each instruction takes three times as long.
      switch (code) {
        case RET_K:
          return k !== 0;
        case LD_W_ABS: {
          if (k + 4 > length) return false;
          const from = offset + k;
          const high = (bytes[from]! << 24) | (bytes[from + 1]! << 16);
          a = (high | (bytes[from + 2]! << 8) | bytes[from + 3]!) >>> 0;
          continue;
        }
        case LD_H_ABS:
          if (k + 2 > length) return false;
          a = (bytes[offset + k]! << 8) | bytes[offset + k + 1]!;
          continue;
        case LD_B_ABS:
          if (k >= length) return false;
          a = bytes[offset + k]!;
          continue;
        case JEQ_K:
          at += program[at + (a === k ? 1 : 2)]! * INSTRUCTION_WORDS;
          continue;
        case AND_K:
          a = (a & k) >>> 0;
          continue;
        case RET_A:
          return a !== 0;
      }
      this.#a = a;
      if ((code & 7) === JMP) {
        const skip = code === JA ? k : program[at + (this.#jumps(code, k) ? 1 : 2)]!;
        at += skip * INSTRUCTION_WORDS;
      } else if ((code & 7) === ALU) {
        if (!this.#compute(code & 0xf0, code & FROM_X ? this.#x : k)) return false;
      } else if (PACKET_LOADS.has(code)) {
        if (!this.#load(code, k, bytes, offset, length)) return false;
      } else this.#move(code, k, length);
      a = this.#a;
    }
  }

  #jumps(code: number, k: number): boolean {
    const operand = code & FROM_X ? this.#x : k;
    switch (code & 0xf0) {
      case JEQ:
        return this.#a === operand;
      case JGT:
        return this.#a > operand;
      case JGE:
        return this.#a >= operand;
      default:
        return (this.#a & operand) !== 0;
    }
  }

  /** False for a division by 0, which ends the program. */
  #compute(operation: number, operand: number): boolean {
    if (operand === 0 && (operation === DIV || operation === MOD)) return false;
    this.#a = resultOf(operation, this.#a, operand) >>> 0;
    return true;
  }

  /** False where the load passes the packet's end, which ends the program. */
  #load(code: number, k: number, bytes: Uint8Array, offset: number, length: number): boolean {
    if (code === LDX_MSH) {
      if (k >= length) return false;
      this.#x = (bytes[offset + k]! & 15) << 2;
      return true;
    }
    const from = (code & 0xe0) === INDIRECT ? this.#x + k : k;
    const size = 4 >> ((code & 0x18) >> 3);
    if (from + size > length) return false;
    let value = 0;
    for (let i = 0; i < size; i++) value = (value << 8) | bytes[offset + from + i]!;
    this.#a = value >>> 0;
    return true;
  }

  /** Between registers, memory, constants and the packet's length. */
  #move(code: number, k: number, length: number): void {
    switch (code) {
      case LD_IMM:
        this.#a = k;
        break;
      case LDX_IMM:
        this.#x = k;
        break;
      case LD_MEM:
        this.#a = this.#memory[k]!;
        break;
      case LDX_MEM:
        this.#x = this.#memory[k]!;
        break;
      case LD_LEN:
        this.#a = length;
        break;
      case LDX_LEN:
        this.#x = length;
        break;
      case ST:
        this.#memory[k] = this.#a;
        break;
      case STX:
        this.#memory[k] = this.#x;
        break;
      case TAX:
        this.#x = this.#a;
        break;
      default:
        this.#a = this.#x;
    }
  }
}

/** An operation of ALU, as an int32 or u32. `operand` is not 0 for a division. Shifts of 32 and more give 0. */
export function resultOf(operation: number, a: number, operand: number): number {
  switch (operation) {
    case 0x00:
      return a + operand;
    case 0x10:
      return a - operand;
    case 0x20:
      return Math.imul(a, operand);
    case DIV:
      return Math.floor(a / operand);
    case 0x40:
      return a | operand;
    case 0x50:
      return a & operand;
    case LSH:
      return operand > 31 ? 0 : a << operand;
    case RSH:
      return operand > 31 ? 0 : a >>> operand;
    case NEG:
      return -a;
    case MOD:
      return a % operand;
    default:
      return a ^ operand;
  }
}

/** What is wrong with a program, or undefined. */
function faultOf(program: readonly number[]): string | undefined {
  const count = program.length / INSTRUCTION_WORDS;
  if (!Number.isInteger(count) || count < 1 || count > MAX_INSTRUCTIONS) {
    return `it has no whole number of instructions between 1 and ${MAX_INSTRUCTIONS}`;
  }
  if (!program.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff)) {
    return 'it has a number that is no 32-bit one';
  }
  for (let i = 0; i < count; i++) {
    const [code = 0, jt = 0, jf = 0, k = 0] = program.slice(
      i * INSTRUCTION_WORDS,
      (i + 1) * INSTRUCTION_WORDS,
    );
    const fault = instructionFault(code, jt, jf, k, count - i - 1);
    if (fault !== undefined) return `${fault} at ${i}`;
  }
  return RETURNS.has(program.at(-INSTRUCTION_WORDS) ?? 0) ? undefined : 'it does not end with a return';
}

/** `behind`: instructions that follow. */
function instructionFault(
  code: number,
  jt: number,
  jf: number,
  k: number,
  behind: number,
): string | undefined {
  if ((code & 7) === JMP) {
    if (code !== JA && ((code & 0xf0) < JEQ || (code & 0xf0) > JSET || code > 0xff)) return 'an unknown jump';
    return Math.max(...(code === JA ? [k] : [jt, jf])) >= behind ? 'a jump past the end' : undefined;
  }
  if ((code & 7) === ALU) {
    if (code > (XOR | FROM_X | ALU)) return 'an unknown operation';
    const operation = code & 0xf0;
    const constant = (code & FROM_X) === 0;
    if (constant && k === 0 && (operation === DIV || operation === MOD)) return 'a division by 0';
    return undefined;
  }
  if (!KNOWN.has(code)) return `an unknown code 0x${code.toString(16)}`;
  return MEMORY_CODES.has(code) && k >= MEMORY_WORDS ? 'a memory word that does not exist' : undefined;
}
