/**
 * Calls src/host from inside a network namespace: `ip netns exec NS node host-driver.mjs '{"call":…,"args":…}'`.
 * Prints {"value": …} or {"error": {"code", "message"}} as JSON. Runs the compiled code (npm run build).
 */
import { parseAddress } from '../../../dist/src/addr/ipv4-address.js';
import { parsePrefix } from '../../../dist/src/addr/prefix.js';
import { createMapping } from '../../../dist/src/fan/mapping.js';
import { readPorts } from '../../../dist/src/host/bridge-ports.js';
import { readTransmitDrops } from '../../../dist/src/host/link-statistics.js';
import { ownDevices, readDevices, readLinks } from '../../../dist/src/host/links.js';
import { readRoutes } from '../../../dist/src/host/routes.js';
import { fanSteps, hostSteps, STEP_KINDS } from '../../../dist/src/host/steps/fan-steps.js';
import { applySteps, reapplySteps, undoSteps } from '../../../dist/src/host/steps/step.js';
import { checkTunnel4 } from '../../../dist/src/host/tunnels.js';
import { resolveUnderlay } from '../../../dist/src/host/underlay.js';

const calls = {
  resolveUnderlay: async (spec) => resolveUnderlay(spec, await readDevices()),
  readRoutes,
  bridgePorts: async (bridge) => (await readPorts(bridge)).map(({ name }) => name),
  transmitDrops: async (device) => (await readTransmitDrops()).get(device),
  checkTunnel4: async (address) => checkTunnel4(parseAddress(address), await readLinks()),
  ownDevices: async () => [...ownDevices(await readLinks())],
  up: async ({ host = true, ...fan }) => applySteps(STEP_KINDS, stepsOf(fan, host), async () => {}),
  /** Applies steps up to and with number `failAt`, which then fails. */
  upFailing: async ({ failAt, ...fan }) => {
    const steps = stepsOf(fan, true);
    const kind = STEP_KINDS[steps[failAt].kind];
    const failing = {
      ...kind,
      apply: async (data) => {
        await kind.apply(data);
        throw new Error('injected');
      },
    };
    return applySteps({ ...STEP_KINDS, [steps[failAt].kind]: failing }, steps, async () => {});
  },
  reapply: (records) => reapplySteps(STEP_KINDS, records),
  down: (records) => undoSteps(STEP_KINDS, records),
};

function stepsOf({ overlay, address, length, ...plan }, host) {
  const mapping = createMapping(parsePrefix(overlay), parseAddress(address), length);
  return [...(host ? hostSteps() : []), ...fanSteps({ mapping, ...plan })];
}

const { call, args } = JSON.parse(process.argv[2]);
try {
  const value = await calls[call](...args);
  console.log(JSON.stringify({ value: value ?? null }));
} catch (error) {
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
}
