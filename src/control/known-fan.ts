/**
 * What an `up` says where its fan is there already: callers repeat themselves, and only another wish is an error.
 */
import { FanError } from '../base/error.js';
import { flagsOf, formatFlags } from '../config/fan-flags.js';
import type { FanOptions } from '../config/fan-options.js';
import { renewCommand } from './fan-command.js';
import type { FanView, UpRequest } from './protocol.js';

interface KnownFan {
  readonly view: FanView;
  readonly request: UpRequest;
}

/** What to say where a fan was restored by a request with other flags than its own. */
export function flagsKept({ view, request }: KnownFan, { options }: UpRequest): string[] {
  const wanted = formatFlags(options);
  if (wanted === formatFlags(request.options)) return [];
  return [
    `${view.bridge} is restored with the flags that it had (${view.flags}); with those given: ${renewCommand(request, wanted)}`,
  ];
}

/** What to say where the fan is up already. Throws FanError already-configured, which says what differs. */
export function keep({ view, request }: KnownFan, { options, ifUp = 'same' }: UpRequest): string[] {
  const fan = `${view.overlay} on ${view.underlay} is already configured (${view.bridge})`;
  if (ifUp === 'strict') throw new FanError('already-configured', fan);
  const [has, asked] = differences(request.options, options, view.bridge);
  if (has.length + asked.length === 0) return [`${view.bridge} is up already, with these flags`];
  const told = [
    ...(has.length > 0 ? [`has ${has.join(', ')}`] : []),
    ...(asked.length > 0 ? [`lacks ${asked.join(', ')}`] : []),
  ].join(' and ');
  const how = `to change that: ${renewCommand(request, formatFlags(options))}`;
  if (ifUp === 'keep') return [`${fan} with other flags, and left alone: it ${told}; ${how}`];
  throw new FanError('already-configured', `${fan} with other flags: it ${told}; ${how}`);
}

/** Flags that only one of the two has. Who brought it up is no difference, nor is the name that it has anyway. */
function differences(had: FanOptions, wanted: FanOptions, bridge: string): [string[], string[]] {
  const isTold = (flag: string): boolean => flag !== 'auto';
  const hadFlags = flagsOf(had).filter(isTold);
  const wantedFlags = flagsOf(wanted).filter(isTold);
  return [
    hadFlags.filter((flag) => !wantedFlags.includes(flag)),
    wantedFlags.filter((flag) => !hadFlags.includes(flag) && flag !== `bridge ${bridge}`),
  ];
}
