/**
 * Podman with CNI on a fan: a network of the bridge's name, `podman run --network fan-250-0-28`. Not with netavark, whose
 * bridge networks want the bridge for themselves: it takes the fan's network for one that is in use, masquerades what
 * goes to the overlay, and deletes the bridge with its last container.
 */
import { FanError } from '../base/error.js';
import { run } from '../host/run.js';
import { isWritten, removeList, requirePlugins, writeList } from './cni.js';
import type { Runtime } from './runtime.js';
import { requireProgram } from './service.js';

export const podman: Runtime = {
  name: 'podman',
  title: 'podman',
  ownsRange: true,
  isSingle: false,
  restarts: false,
  requirePresent: async () => {
    await requireProgram(['podman'], 'podman', 'apt-get install podman');
    await requireCni();
    await requirePlugins('podman');
  },
  isSetUp: isWritten,
  // Behind podman's own, so that no other reader of the directory takes it for the first.
  enable: (fan, range, _, backups) => writeList(fan, range!, { prefix: '88', name: fan.bridge }, backups),
  disable: removeList,
};

/** Throws FanError unsupported where podman makes its networks by another program. */
async function requireCni(): Promise<void> {
  const backend = (await run('podman', ['info', '--format', '{{.Host.NetworkBackend}}'])).trim();
  if (backend === 'cni') return;
  throw new FanError(
    'unsupported',
    `podman makes its networks by ${backend}, which wants the bridge for itself and deletes it with the last ` +
      'container: write network_backend = "cni" under [network] in /etc/containers/containers.conf, then podman ' +
      'system reset',
  );
}
