/**
 * What a prober and a peer's responder say to each other: one JSON object a datagram (UDP, PROBE_PORT). A request is
 * padded with spaces, and its answer is never longer than it: whoever forges a sender gains nothing.
 *
 *   facts   version, the fan that has the overlay asked for (or one that overlaps it), how many fans are there, and which
 *           of the hardware addresses asked about are the peer's
 *   seen    the probes with this nonce that came in through the fan
 *   send    please send one probe with this nonce through the fan to me
 *   hear    please hold an ear for the other type of fan, by protocol 4 or a UDP port (ear.ts)
 *   way     does your kernel take what you send to me into the fan?
 */

import { type Stop, WAY_VERDICTS, type WayVerdict } from '../explain/inner-way.js';

/** Bytes of every request. */
export const REQUEST_LEN = 1024;
const PROTOCOL = 1;
/** Probes that a "seen" lists: with the frame around them they fit REQUEST_LEN. */
export const MOST_SEEN = 60;
export const MOST_MACS = 8;
/** Characters of what a "way" says. */
export const MOST_WHY = 400;

export interface Facts {
  /** "250.0.0.0/8" */
  overlay: string;
  /** "172.30.0.27/16" */
  underlay: string;
  slice: string;
  /** Of bridge and TUN. */
  mtu: number;
  io: string;
  /** "type vxlan, vni 16384000, port 8472"; absent of a fand that knew none. */
  type?: string;
  /** What the fan has learnt of the path to whoever asks, outer header included; null where nothing. */
  path: number | null;
}

export interface Request {
  id: string;
  ask: 'facts' | 'seen' | 'send' | 'way' | 'hear';
  overlay: string;
  nonce: string;
  /** Of hosts that claim the peer's address, at most MOST_MACS. */
  macs: string[];
  /** To hear at: a UDP port, or 0 for protocol 4. */
  port: number;
}

export type Answer =
  | { id: string; answer: 'facts'; version: string; fans: number; fan: Facts | null; macs: string[] }
  /** Pairs of sequence and length. */
  | { id: string; answer: 'seen'; probes: [number, number][] }
  | { id: string; answer: 'sent' }
  /** Whether the ear is there. */
  | { id: string; answer: 'hear'; hears: boolean }
  /** Null where what is sent gets into the fan. */
  | { id: string; answer: 'way'; stop: Stop | null };

/** What can be asked. */
const ASKS: readonly Request['ask'][] = ['facts', 'seen', 'send', 'way', 'hear'];

export function encodeRequest(request: Request): Buffer {
  return Buffer.from(JSON.stringify({ ufan: PROTOCOL, ...request }).padEnd(REQUEST_LEN));
}

export function encodeAnswer(answer: Answer): Buffer {
  return Buffer.from(JSON.stringify({ ufan: PROTOCOL, ...answer }));
}

/** Undefined for what is no request of this protocol. */
export function decodeRequest(bytes: Uint8Array): Request | undefined {
  const { id, ask, overlay, nonce, macs, port } = parse(bytes) ?? {};
  if (typeof id !== 'string' || typeof overlay !== 'string' || typeof nonce !== 'string') return undefined;
  const known = ASKS.find((each) => each === ask);
  return known && { id, ask: known, overlay, nonce, macs: textsOf(macs), port: portOf(port) };
}

/** Undefined for what is no answer of this protocol; whether it answers anything of ours is the caller's to know. */
export function decodeAnswer(bytes: Uint8Array): Answer | undefined {
  const message = parse(bytes) ?? {};
  const { id, answer } = message;
  if (typeof id !== 'string') return undefined;
  if (answer === 'sent') return { id, answer };
  if (answer === 'hear') return { id, answer, hears: message.hears === true };
  if (answer === 'way') return decodeWay(id, message.stop);
  if (answer === 'seen') {
    const probes = Array.isArray(message.probes) ? message.probes.filter(isPair) : [];
    return { id, answer, probes };
  }
  const { version, fans, fan, macs } = message;
  if (answer !== 'facts' || typeof version !== 'string' || typeof fans !== 'number') return undefined;
  if (fan !== null && !isFacts(fan)) return undefined;
  return { id, answer, version, fans, fan, macs: textsOf(macs) };
}

function decodeWay(id: string, stop: unknown): Answer | undefined {
  if (stop === null) return { id, answer: 'way', stop };
  if (typeof stop !== 'object') return undefined;
  const { verdict, why } = stop as Record<string, unknown>;
  if (!WAY_VERDICTS.includes(verdict as WayVerdict) || typeof why !== 'string') return undefined;
  return { id, answer: 'way', stop: { verdict: verdict as WayVerdict, why } };
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = Buffer.from(bytes).toString('utf8');
    const message = JSON.parse(text, harmless) as Record<string, unknown> | null;
    return message?.ufan === PROTOCOL ? message : undefined;
  } catch {
    return undefined;
  }
}

/** What a peer says ends up on a terminal: no control character may come with it. */
function harmless(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll(/\p{Cc}/gu, '?') : value;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string').slice(0, MOST_MACS) : [];
}

/** A fand that knew no ears says none. */
function portOf(value: unknown): number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536
    ? (value as number)
    : 0;
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === 'number');
}

function isFacts(value: unknown): value is Facts {
  if (typeof value !== 'object' || value === null) return false;
  const { overlay, underlay, slice, mtu, io, path, type } = value as Record<string, unknown>;
  const texts = [overlay, underlay, slice, io].every((each) => typeof each === 'string');
  if (type !== undefined && typeof type !== 'string') return false;
  return texts && typeof mtu === 'number' && (path === null || typeof path === 'number');
}
