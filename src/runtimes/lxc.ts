/**
 * LXC on a fan: the first network device of containers made from now on, in /etc/lxc/default.conf, is on the fan's
 * bridge, with its MTU. Addresses come by the fan's DHCP. Containers that are there keep what they have.
 */
import { readText } from '../host/text-file.js';
import { editFile, undoEdit } from './config-edit.js';
import { keyOf, removeKey, setKeys } from './key-lines.js';
import type { Entry, Runtime, RuntimeFan, Setup } from './runtime.js';
import { requireProgram } from './service.js';

const configPath = (): string => process.env.UFAN_LXC_CONFIG || '/etc/lxc/default.conf';
const LINK = 'lxc.net.0.link';

export const lxc: Runtime = {
  name: 'lxc',
  title: 'LXC',
  ownsRange: false,
  isSingle: true,
  restarts: false,
  requirePresent: () => requireProgram(['lxc-create'], 'LXC', 'apt-get install lxc'),
  isSetUp: async ({ bridge }) => keyOf((await readText(configPath())) ?? '', LINK) === bridge,
  enable: (fan, _range, _wishes, backups) => writeKeys(fan, backups),
  disable: removeKeys,
};

async function writeKeys({ bridge, mtu }: RuntimeFan, backups: string): Promise<Setup> {
  const keys = new Map([
    ['lxc.net.0.type', 'veth'],
    [LINK, bridge],
    ['lxc.net.0.flags', 'up'],
    ['lxc.net.0.mtu', `${mtu}`],
  ]);
  const edit = await editFile(configPath(), `${backups}/lxc-default.conf`, (text = '') =>
    setKeys(text, keys),
  );
  return { edits: [edit], notes: ['containers that are there already keep their network'] };
}

async function removeKeys({ bridge, edits }: Entry): Promise<readonly string[]> {
  for (const edit of edits) {
    await undoEdit(edit, (text, before = '') => {
      // Who gave it another bridge since means the other keys too.
      if (keyOf(text, LINK) !== bridge) return text;
      let left = text;
      for (const key of ['lxc.net.0.type', LINK, 'lxc.net.0.flags', 'lxc.net.0.mtu']) {
        const had = keyOf(before, key);
        left = had === undefined ? removeKey(left, key) : setKeys(left, new Map([[key, had]]));
      }
      return left === '' ? undefined : left;
    });
  }
  return [];
}
