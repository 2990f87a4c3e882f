/** The fans of a host as far as they are known: from fand, or from the record of one that died. Starts nothing. */
import { FandClient, NotRunning } from './client.js';
import type { FanView, RunPaths } from './protocol.js';
import { readStateFans } from './state-file.js';

/** Those of a dead fand have state "dead". Throws FanError where neither can be read. */
export async function readFans(paths: RunPaths): Promise<FanView[]> {
  try {
    return await new FandClient(paths).fans();
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return (await readStateFans(paths)).map(({ view }) => ({ ...view, state: 'dead' }));
  }
}
