/** The fans of a host as far as they are known: from fand, or from the record of one that died. Starts nothing. */
import { FandClient, NotRunning } from './client.js';
import type { FanView, RunPaths } from './protocol.js';

/** Those of a dead fand have state "dead". Throws FanError where neither can be read. */
export async function readFans(paths: RunPaths, client = new FandClient(paths)): Promise<FanView[]> {
  try {
    return await client.fans();
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    const { readStateFans } = await import('./state-file.js');
    return (await readStateFans(paths)).map(({ view }) => ({ ...view, state: 'dead' }));
  }
}
