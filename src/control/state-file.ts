/**
 * The state file, as fanctl reads it where no fand answers: the fans that a dead fand left behind.
 */
import { errorText, FanError } from '../base/error.js';
import { readOwnFile } from '../base/own-files.js';
import type { RunPaths, StateFile } from './protocol.js';
import { MOST_BYTES } from './state-store.js';

/** The recorded fans; none where there is no file. Throws FanError where it can't be read or is none of ours. */
export async function readStateFans(paths: RunPaths): Promise<StateFile['fans']> {
  let json: string | undefined;
  try {
    json = await readOwnFile(paths.state, MOST_BYTES);
  } catch (cause) {
    if (cause instanceof FanError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES')
      throw new FanError('not-root', `no permission on ${paths.state}: run as root`, { cause });
    throw new FanError('daemon', `cannot read ${paths.state}: ${errorText(cause)}`, { cause });
  }
  return json === undefined ? [] : parseState(json, paths.state).fans;
}

function parseState(json: string, path: string): StateFile {
  let state: Partial<StateFile> | null;
  try {
    state = JSON.parse(json) as Partial<StateFile> | null;
  } catch (cause) {
    throw new FanError('daemon', `${path} is damaged: ${errorText(cause)}`, { cause });
  }
  if (state?.version !== 1 || !Array.isArray(state.fans)) {
    throw new FanError('daemon', `${path} is from another version of ufan`);
  }
  return state as StateFile;
}
