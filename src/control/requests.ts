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

/** These and the ones below throw FanError usage. */
export function readUpRequest(body: unknown): UpRequest {
  const fields = fieldsOf(body, 'the request');
  const options = readOptions(fieldsOf(fields.options ?? {}, 'options'));
  return { overlay: text(fields, 'overlay'), underlay: text(fields, 'underlay'), options };
}

export function readDownRequest(body: unknown): DownRequest {
  const fields = fieldsOf(body, 'the request');
  if (fields.every === true) return { every: true };
  if (fields.every !== undefined && fields.every !== false) throw wrong('every', 'true or false');
  return { overlay: text(fields, 'overlay'), underlay: text(fields, 'underlay') };
}

export function readExplainRequest(body: unknown): ExplainRequest {
  const fields = fieldsOf(body, 'the request');
  const from = fields.from === undefined ? {} : { from: text(fields, 'from') };
  return { address: text(fields, 'address'), ...from };
}

export function readProbeRequest(body: unknown): ProbeRequest {
  const fields = fieldsOf(body, 'the request');
  return { target: text(fields, 'target'), count: number(fields, 'count') };
}

export function readRepairRequest(body: unknown): RepairRequest {
  const { repairs } = fieldsOf(body, 'the request');
  if (!isListOf(repairs, 'string')) throw wrong('repairs', 'a list of names');
  return { repairs: repairs as Repair[] };
}

/** The numbers' limits are the tracing's to know. */
export function readTraceRequest(body: unknown): TraceRequest {
  const fields = fieldsOf(body, 'the request');
  const { program, dropsOnly } = fields;
  if (program !== undefined && !isListOf(program, 'number')) throw wrong('program', 'a list of numbers');
  if (dropsOnly !== undefined && typeof dropsOnly !== 'boolean') throw wrong('dropsOnly', 'true or false');
  return {
    ...(program !== undefined && { program: program as number[] }),
    ...(fields.bridge !== undefined && { bridge: text(fields, 'bridge') }),
    ...(dropsOnly !== undefined && { dropsOnly }),
    snapLen: number(fields, 'snapLen'),
    ...(fields.burstSnapLen !== undefined && { burstSnapLen: number(fields, 'burstSnapLen') }),
    recordsPerSecond: number(fields, 'recordsPerSecond'),
    bytesPerSecond: number(fields, 'bytesPerSecond'),
  };
}

export function readEndTraceRequest(body: unknown): EndTraceRequest {
  return { session: number(fieldsOf(body, 'the request'), 'session') };
}

/** Those that are left out, as an older fanctl does, are the default. Written as flags they must be flags. */
function readOptions(given: Fields): FanOptions {
  for (const [name, usual] of Object.entries(DEFAULT_OPTIONS)) {
    const value = given[name];
    if (value !== undefined && typeof value !== typeof usual) throw wrong(name, `a ${typeof usual}`);
  }
  for (const name of ['ttl', 'dscp']) if (given[name] !== undefined) number(given, name);
  if (given.bridge !== undefined) text(given, 'bridge');
  if (given.dhcpRange !== undefined && !isListOf(given.dhcpRange, 'number')) {
    throw wrong('dhcpRange', 'two numbers');
  }
  const options: FanOptions = { ...DEFAULT_OPTIONS, ...given };
  const { overlay, underlay } = parseFanWords(formatFlags(options).split(' '));
  if (overlay || underlay) throw wrong('options', 'flags of a fan');
  return options;
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new FanError('usage', `${what}: want an object with named fields`);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw wrong(name, 'text');
}

function number(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === 'number') return value;
  throw wrong(name, 'a number');
}

function isListOf(value: unknown, type: 'string' | 'number'): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === type);
}

function wrong(name: string, wanted: string): FanError {
  return new FanError('usage', `${name}: want ${wanted}`);
}
