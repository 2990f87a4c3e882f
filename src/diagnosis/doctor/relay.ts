/** relay-broken: bursts go by a relay (io raw, and packet without BPF) that lets nothing pass. */
import { examineRelays } from '../../host/relays.js';
import { type Check, FIX, fail, ok } from './finding.js';

export const relayBroken: Check = {
  name: 'relay-broken',
  severity: 'critical',
  async examine(patient) {
    const relays = await examineRelays(patient.paths.dir, await patient.links());
    if (relays.length === 0) return [ok('bursts need no relay here')];
    return relays.map(({ name, trouble }) =>
      trouble === undefined
        ? ok(`${name} leads bursts on to the underlay`)
        : fail(`${name}: ${trouble}: bursts end there`, FIX, { repairs: ['relay'] }),
    );
  },
};
