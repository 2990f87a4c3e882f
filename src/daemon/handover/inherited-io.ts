/**
 * How a fan that is taken over goes: as it went, since its devices were opened for that.
 */
import type { FanSpec, IoMode } from '../../dataplane/tables/fan-spec.js';
import type { LentFan } from './heritage.js';

/** The fastest first. */
const MODES: readonly IoMode[] = ['bpf', 'packet', 'raw'];

/** What is to be said of it instead of what its words came to; nothing of a fan that isn't taken over. */
export function inheritedIo(fan: LentFan | undefined): Partial<Pick<FanSpec, 'io' | 'ioNotes'>> {
  if (!fan) return {};
  // Those about its own mode are made anew where they hold still.
  const faster = MODES.slice(0, MODES.indexOf(fan.mode));
  const ioNotes = fan.notes.filter((note) => faster.some((mode) => note.startsWith(`${mode}: `)));
  return { io: [fan.mode], ioNotes };
}
