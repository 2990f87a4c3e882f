/**
 * One prober's exchange of probes with one peer: sends probes of a size through the fan, and finds out whether they
 * came back, and if not, from the peer's responder, whether they arrived.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FanRecord } from '../../control/state-store.js';
import type { Answer, Request } from './message.js';
import type { Responder } from './responder.js';

/** A reply that takes longer than this and a few round trips is lost; a busy host is slow as well. */
const LEAST_WAIT_MS = 250;
const MOST_WAIT_MS = 1000;
const FIRST_WAIT_MS = 800;
const ROUND_TRIPS = 4;
const GAP_MS = 10;
/** Of one size, so that one that is lost by chance tells nothing. */
const COPIES = 2;

export type Ask = (ask: Request['ask']) => Promise<Answer | undefined>;

export interface Trial {
  /** Whether a probe of the size arrived at the peer; undefined where it can't be asked. */
  readonly out: boolean | undefined;
  /** Whether a reply of the same size came back. */
  readonly back: boolean;
}

export class Exchange {
  readonly nonce = randomBytes(8).toString('hex');
  readonly #responder: Responder;
  readonly #fan: FanRecord;
  readonly #host: number;
  readonly #stop: () => void;
  /** Sequence → when it was sent, ms. */
  readonly #sentMs = new Map<number, number>();
  readonly #rttsMs = new Map<number, number>();
  #unasked = 0;
  #sequence = 0;

  /** `host` is the peer's underlay address, u32. */
  constructor(responder: Responder, fan: FanRecord, host: number) {
    this.#responder = responder;
    this.#fan = fan;
    this.#host = host;
    this.#stop = responder.expect(this.nonce, (sequence) => this.#onReply(sequence));
  }

  /** Sends `count` probes of `length` bytes; the round trips of those that came back, in ms. */
  async round(count: number, length: number): Promise<number[]> {
    const sent: number[] = [];
    for (let i = 0; i < count; i++) {
      sent.push(this.#send(length));
      await sleep(GAP_MS);
    }
    const isDone = (): boolean => sent.every((sequence) => this.#rttsMs.has(sequence));
    await this.#wait(isDone, FIRST_WAIT_MS);
    return sent.flatMap((sequence) => this.#rttsMs.get(sequence) ?? []);
  }

  /** Whether probes of `length` bytes pass, tried `attempts` times; `ask` where the peer has a responder. */
  async try(length: number, attempts: number, ask: Ask | undefined): Promise<Trial> {
    const sent: number[] = [];
    for (let attempt = 0; attempt < attempts; attempt++) {
      for (let copy = 0; copy < COPIES; copy++) sent.push(this.#send(length));
      await this.#wait(() => sent.some((sequence) => this.#rttsMs.has(sequence)), this.#waitMs);
      if (sent.some((sequence) => this.#rttsMs.has(sequence))) return { out: true, back: true };
    }
    const answer = await ask?.('seen');
    if (answer?.answer !== 'seen') return { out: undefined, back: false };
    return { out: answer.probes.some(([sequence]) => sent.includes(sequence)), back: false };
  }

  /** Waits for a probe that the peer sends without having got one; its sequence is 0. */
  async unaskedReply(): Promise<boolean> {
    await this.#wait(() => this.#unasked > 0, FIRST_WAIT_MS);
    return this.#unasked > 0;
  }

  close(): void {
    this.#stop();
  }

  get #waitMs(): number {
    const slowest = Math.max(0, ...this.#rttsMs.values());
    return Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, ROUND_TRIPS * slowest));
  }

  #send(length: number): number {
    const sequence = ++this.#sequence;
    this.#sentMs.set(sequence, performance.now());
    // One that the kernel refuses is missing, and the trial says so.
    this.#responder.send(this.#fan, this.#host, { kind: 'probe', sequence, nonce: this.nonce, length });
    return sequence;
  }

  #onReply(sequence: number): void {
    const sentMs = this.#sentMs.get(sequence);
    if (sentMs === undefined) this.#unasked += 1;
    else if (!this.#rttsMs.has(sequence)) this.#rttsMs.set(sequence, performance.now() - sentMs);
  }

  async #wait(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!isDone() && performance.now() < deadline) await sleep(2);
  }
}
