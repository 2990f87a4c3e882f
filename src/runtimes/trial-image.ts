/** An image made on the spot of a static busybox, so that a trial downloads nothing: as a tar file, for `import`. */
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { FanError } from '../base/error.js';
import { run } from '../host/run.js';

const APPLETS = ['sh', 'ping', 'nc', 'sleep', 'udhcpc', 'ip', 'echo', 'cat', 'hostname', 'nslookup'];
/** What LXD starts, and what its DHCP client does with an answer. */
const INIT = `#!/bin/sh
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -s /etc/udhcpc -x "hostname:$(hostname)"
exec sleep 100000
`;
const ON_ADDRESS = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip route add default via "$router"
printf 'search %s\\nnameserver %s\\n' "$domain" "$dns" >/etc/resolv.conf
`;
const LXD_METADATA = `architecture: ${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}
creation_date: 1
properties: {description: busybox for a trial of the fan}
`;

/**
 * A tar file in `dir`: the root itself or, for LXD, rootfs/ with metadata. Throws FanError unsupported without a static
 * busybox.
 */
export async function buildTrialImage(dir: string, form: 'plain' | 'lxd'): Promise<string> {
  const busybox = await findBusybox();
  const top = `${dir}/tree`;
  const root = form === 'lxd' ? `${top}/rootfs` : top;
  for (const name of ['bin', 'sbin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run']) {
    await mkdir(`${root}/${name}`, { recursive: true });
  }
  await copyFile(busybox, `${root}/bin/busybox`);
  for (const name of APPLETS) await symlink('busybox', `${root}/bin/${name}`);
  if (form === 'lxd') {
    await writeFile(`${top}/metadata.yaml`, LXD_METADATA);
    await writeFile(`${root}/sbin/init`, INIT, { mode: 0o755 });
    await writeFile(`${root}/etc/udhcpc`, ON_ADDRESS, { mode: 0o755 });
  }
  await run('tar', ['-C', top, '-cf', `${dir}/image.tar`, '.']);
  return `${dir}/image.tar`;
}

async function findBusybox(): Promise<string> {
  const remedy = 'apt-get install busybox-static, or name one in UFAN_BUSYBOX';
  const named = process.env.UFAN_BUSYBOX;
  const found = named || (await run('sh', ['-c', 'command -v busybox'], [0, 1, 127])).trim();
  if (found === '') throw new FanError('unsupported', `busybox is not on this host: ${remedy}`);
  // Status 1: it is none that needs libraries, which an image of one file has not.
  const libraries = await run('ldd', [found], [0, 1]);
  if (!libraries.includes('=>')) return found;
  throw new FanError('unsupported', `${found} is not static, so no image can be made of it alone: ${remedy}`);
}
