/**
 * Questions and answers of DNS (RFC 1035) as fand takes and gives them: one question, of class IN, and an answer about
 * one container. dns-packet reads and writes the bytes; what is none of this is no message here.
 */
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { formatAddress } from '../../addr/ipv4-address.js';

export interface Question {
  readonly id: number;
  readonly name: string;
  /** "A", "PTR", "AAAA", … */
  readonly type: string;
}

/** What is known of what was asked: the addresses of a name, u32, or the name of an address. */
export type Found = { readonly addresses: readonly number[] } | { readonly name: string };
/** `nothing`: there is no such container. `unknown`: who would know did not say. */
export type Outcome = Found | 'nothing' | 'unknown';

export type Message =
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'answer'; readonly question: Question; readonly outcome: Outcome };

const AUTHORITATIVE = 1 << 10;
const RECURSION_AVAILABLE = 1 << 7;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;
/** s: a container that comes or goes is known everywhere after it, dnsmasq's cache included. */
const TTL = 5;

/** Undefined for anything else, whatever the bytes are. */
export function readMessage(bytes: Buffer): Message | undefined {
  try {
    const packet = decode(bytes);
    const [asked, ...more] = packet.questions ?? [];
    if (
      !asked ||
      more.length > 0 ||
      asked.class !== 'IN' ||
      (packet as { opcode?: string }).opcode !== 'QUERY'
    )
      return undefined;
    const question = { id: packet.id ?? 0, name: asked.name, type: asked.type };
    if (packet.type === 'query') return { kind: 'question', question };
    return { kind: 'answer', question, outcome: outcomeOf(packet) };
  } catch {
    return undefined;
  }
}

function outcomeOf(packet: ReturnType<typeof decode>): Outcome {
  const rcode = (packet as { rcode?: string }).rcode;
  if (rcode === 'NXDOMAIN') return 'nothing';
  if (rcode !== 'NOERROR') return 'unknown';
  const texts = (type: string): string[] =>
    (packet.answers ?? []).flatMap((answer) =>
      answer.type === type && 'data' in answer && typeof answer.data === 'string' ? [answer.data] : [],
    );
  const [name] = texts('PTR');
  if (name !== undefined) return { name };
  const addresses = texts('A').map((text) =>
    text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0),
  );
  return addresses.length > 0 ? { addresses } : 'nothing';
}

export function writeQuestion({ id, name, type }: Question): Buffer {
  return encode({ type: 'query', id, questions: [{ name, type: type as 'A' }] });
}

/** The answer to `question`; a type that a container's name has no record of is answered by none. */
export function writeAnswer({ id, name, type }: Question, outcome: Outcome): Buffer {
  const rcode = outcome === 'nothing' ? NAME_ERROR : outcome === 'unknown' ? SERVER_FAILURE : 0;
  return encode({
    type: 'response',
    id,
    flags: AUTHORITATIVE | RECURSION_DESIRED | RECURSION_AVAILABLE | rcode,
    questions: [{ name, type: type as 'A' }],
    answers: recordsOf(outcome)
      .filter((record) => record.type === type || type === 'ANY')
      .map((record) => ({ ...record, name, ttl: TTL })),
  });
}

function recordsOf(outcome: Outcome): { type: 'A' | 'PTR'; data: string }[] {
  if (typeof outcome === 'string') return [];
  if ('name' in outcome) return [{ type: 'PTR', data: outcome.name }];
  return outcome.addresses.map((address) => ({ type: 'A', data: formatAddress(address) }));
}
