import { describe, expect, it } from 'vitest';
import { DEFAULT_OPTIONS } from '../../../src/config/fan-options.js';
import {
  readDownRequest,
  readEndTraceRequest,
  readExplainRequest,
  readProbeRequest,
  readRepairRequest,
  readTraceRequest,
  readUpRequest,
} from '../../../src/control/requests.js';

const FAN = { overlay: '250.0.0.0/8', underlay: 'eth0/16' };
const LIMITS = { snapLen: 96, recordsPerSecond: 10, bytesPerSecond: 1000 };

it('takes what fanctl says', () => {
  const options = { ...DEFAULT_OPTIONS, ttl: 64, dhcpRange: [2, 9] };
  expect(readUpRequest({ ...FAN, options })).toEqual({ ...FAN, options });
  expect(readDownRequest(FAN)).toEqual(FAN);
  expect(readDownRequest({ every: true, force: true })).toEqual({ every: true, force: true });
  expect(readUpRequest({ ...FAN, options, ifUp: 'keep' })).toMatchObject({ ifUp: 'keep' });
  expect(readExplainRequest({ address: '250.0.27.2' })).toEqual({ address: '250.0.27.2' });
  expect(readTraceRequest({ ...LIMITS, program: [6, 0, 0, 0] })).toEqual({
    ...LIMITS,
    program: [6, 0, 0, 0],
  });
});

it('options that are left out are the default', () => {
  expect(readUpRequest(FAN)).toEqual({ ...FAN, options: DEFAULT_OPTIONS });
});

describe('names the field that is wrong:', () => {
  it.each([
    ['no object', readUpRequest, [], 'the request: '],
    ['null', readDownRequest, null, 'the request: '],
    ['no overlay', readUpRequest, { underlay: 'eth0/16' }, 'overlay: '],
    ['options that are a list', readUpRequest, { ...FAN, options: [] }, 'options: '],
    ['a flag of another type', readUpRequest, { ...FAN, options: { dhcp: 'yes' } }, 'dhcp: '],
    ['a reserve of 0', readUpRequest, { ...FAN, options: { hostReserve: 0 } }, 'host-reserve: '],
    ['no I/O mode', readUpRequest, { ...FAN, options: { io: 'fast' } }, 'io: '],
    ['a bridge out of the directory', readUpRequest, { ...FAN, options: { bridge: '../x' } }, 'bridge: '],
    ['a bridge that hides a flag', readUpRequest, { ...FAN, options: { bridge: 'a 250/8' } }, 'options: '],
    ['every, almost', readDownRequest, { ...FAN, every: 1 }, 'every: '],
    ['a down of nothing', readDownRequest, {}, 'overlay: '],
    ['an address in numbers', readExplainRequest, { address: 4 }, 'address: '],
    ['a count in words', readProbeRequest, { target: 'x', count: '3' }, 'count: '],
    ['repairs of nothing', readRepairRequest, {}, 'repairs: '],
    ['a program in words', readTraceRequest, { ...LIMITS, program: ['6'] }, 'program: '],
    ['no session', readEndTraceRequest, {}, 'session: '],
  ])('%s', (_, read, body, words) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ name: 'FanError', code: 'usage' }));
    expect(() => read(body)).toThrow(words);
  });
});
