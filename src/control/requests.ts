/**
 * What comes in by the control socket, before anything is done for it: any JSON at all becomes one of protocol.ts's
 * requests, or an error that names the field. Whoever may connect is root; a program of theirs may still be wrong.
 */
import { FanError } from '../base/error.js';
import { formatFlags } from '../config/fan-flags.js';
import { parseFanWords } from '../config/fan-line.js';
import { DEFAULT_OPTIONS, type FanOptions } from '../config/fan-options.js';
import type {
  DownRequest,
  EndTraceRequest,
  ExplainRequest,
  ProbeRequest,
  Repair,
  RepairRequest,
  TraceRequest,
  UpRequest,
} from './protocol.js';

type Fields = Readonly<Record<string, unknown>>;
/** Returns the value as it is, or throws FanError usage. */
type Check<Value> = (value: unknown, name: string) => Value;
/** Of every field of a request: one that is new has no place to be forgotten. */
type Shape<Request> = { readonly [Name in keyof Required<Request>]: Check<Request[Name]> };

const text: Check<string> = (value, name) => {
  if (typeof value === 'string') return value;
  throw wrong(name, 'text');
};
const number: Check<number> = (value, name) => {
  if (typeof value === 'number') return value;
  throw wrong(name, 'a number');
};
const truth: Check<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value;
  throw wrong(name, 'true or false');
};
const numbers: Check<number[]> = (value, name) => {
  if (Array.isArray(value) && value.every((each) => typeof each === 'number')) return value as number[];
  throw wrong(name, 'a list of numbers');
};
/** Which of them there are is the repair's to know. */
const repairs: Check<Repair[]> = (value, name) => {
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value as Repair[];
  throw wrong(name, 'a list of names');
};
const ifUp: Check<NonNullable<UpRequest['ifUp']>> = (value, name) => {
  if (value === 'same' || value === 'strict' || value === 'keep') return value;
  throw wrong(name, 'same, strict or keep');
};

const maybe =
  <Value>(check: Check<Value>): Check<Value | undefined> =>
  (value, name) =>
    value === undefined ? undefined : check(value, name);

const UP: Shape<UpRequest> = { overlay: text, underlay: text, options: readOptions, ifUp: maybe(ifUp) };
const DOWN: Shape<DownRequest> = {
  overlay: maybe(text),
  underlay: maybe(text),
  every: maybe(truth),
  force: maybe(truth),
};
const EXPLAIN: Shape<ExplainRequest> = { address: text, from: maybe(text), by: maybe(text) };
const PROBE: Shape<ProbeRequest> = { target: text, count: number };
const REPAIR: Shape<RepairRequest> = { repairs };
/** The numbers' limits are the tracing's to know. */
const TRACE: Shape<TraceRequest> = {
  program: maybe(numbers),
  bridge: maybe(text),
  dropsOnly: maybe(truth),
  snapLen: number,
  burstSnapLen: maybe(number),
  recordsPerSecond: number,
  bytesPerSecond: number,
};
const END_TRACE: Shape<EndTraceRequest> = { session: number };

/** These throw FanError usage. */
export const readUpRequest = (body: unknown): UpRequest => read(body, UP);
export const readExplainRequest = (body: unknown): ExplainRequest => read(body, EXPLAIN);
export const readProbeRequest = (body: unknown): ProbeRequest => read(body, PROBE);
export const readRepairRequest = (body: unknown): RepairRequest => read(body, REPAIR);
export const readTraceRequest = (body: unknown): TraceRequest => read(body, TRACE);
export const readEndTraceRequest = (body: unknown): EndTraceRequest => read(body, END_TRACE);

export function readDownRequest(body: unknown): DownRequest {
  const request = read(body, DOWN);
  if (request.every === true) return request;
  text(request.overlay, 'overlay');
  text(request.underlay, 'underlay');
  return request;
}

/** Fields that no request has are left out, as are those that are not there. */
function read<Request>(body: unknown, shape: Shape<Request>): Request {
  const fields = fieldsOf(body, 'the request');
  const checked = Object.entries<Check<unknown>>(shape).map(([name, check]) => [
    name,
    check(fields[name], name),
  ]);
  return Object.fromEntries(checked.filter(([, value]) => value !== undefined)) as Request;
}

/** Those that are left out, as an older fanctl does, are the default. Written as flags they must be flags. */
function readOptions(value: unknown): FanOptions {
  const given = fieldsOf(value ?? {}, 'options');
  for (const [name, usual] of Object.entries(DEFAULT_OPTIONS)) {
    if (given[name] !== undefined && typeof given[name] !== typeof usual) {
      throw wrong(name, `a ${typeof usual}`);
    }
  }
  for (const name of ['ttl', 'dscp', 'minPathMtu', 'vni', 'port']) maybe(number)(given[name], name);
  maybe(text)(given.bridge, 'bridge');
  maybe(numbers)(given.dhcpRange, 'dhcpRange');
  const options: FanOptions = { ...DEFAULT_OPTIONS, ...given };
  const { overlay, underlay } = parseFanWords(formatFlags(options).split(' '));
  if (overlay || underlay) throw wrong('options', 'flags of a fan');
  return options;
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new FanError('usage', `${what}: want an object with named fields`);
}

function wrong(name: string, wanted: string): FanError {
  return new FanError('usage', `${name}: want ${wanted}`);
}
