/**
 * The state file, as fanctl reads it where no fand answers: the fans that a dead fand left behind.
 */
import { readFile } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import type { RunPaths, StateFile } from './protocol.js';

/** The recorded fans; none where there is no file. Throws FanError where it can't be read or is none of ours. */
export async function readStateFans(paths: RunPaths): Promise<StateFile['fans']> {
  let json: string;
  try {
    json = await readFile(paths.state, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    if (code === 'EACCES')
      throw new FanError('not-root', `no permission on ${paths.state}: run as root`, { cause });
    throw new FanError('daemon', `cannot read ${paths.state}: ${errorText(cause)}`, { cause });
  }
  return parseState(json, paths.state).fans;
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
