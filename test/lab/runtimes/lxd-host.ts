/**
 * A host of the lab with a real LXD of its own: in the host's network namespace, with sysfs of its own, the machine's
 * cgroups and a directory of the lab's. `service lxd restart` restarts it, with what its systemd drop-in says.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../../bench/lab/host.js';
import { GuidedHost } from './guided-host.js';

const PRESEED = `storage_pools: [{name: default, driver: dir}]
profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]`;

export class LxdHost extends GuidedHost {
  readonly dropIn: string;

  private constructor(host: Host) {
    super(host);
    const { dir, name } = host;
    this.dropIn = join(dir, 'lxd.service.d/ufan.conf');
    for (const each of ['lxd', 'cgroup', 'run-lxc']) mkdirSync(join(dir, each), { mode: 0o711 });
    const env = `LXD_DIR=${dir}/lxd`;
    this.install('lxc', `#!/bin/sh\nHOME=${dir} ${env} exec /usr/bin/lxc "$@"\n`);
    this.install('lxd-here', `#!/bin/sh\n${env} exec /usr/bin/lxd "$@"\n`);
    const mounts = `mount --rbind /sys/fs/cgroup ${dir}/cgroup && mount -t sysfs sysfs /sys &&
mount --rbind ${dir}/cgroup /sys/fs/cgroup && umount -l ${dir}/cgroup &&
mkdir -p /run/lxc && mount --bind ${dir}/run-lxc /run/lxc && mount --bind /dev/null /etc/resolv.conf &&`;
    this.install(
      'start-lxd',
      `#!/bin/bash
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
while read -r line; do
  [[ $line == Environment=* ]] && export "\${line#Environment=}"
done < <(cat ${this.dropIn} 2>/dev/null)
${env} setsid nsenter --mount=/proc/${process.pid}/ns/mnt --net=/run/netns/${name} unshare -m \\
  sh -c '${mounts} exec /usr/bin/lxd --group root --logfile ${dir}/lxd.log' </dev/null >/dev/null 2>&1 &
${dir}/bin/lxd-here waitready --timeout 60
`,
    );
    const docker = this.read(join(dir, 'bin/service'));
    this.install('service', docker.replace(/^\[\[ \$1 == docker.*$/m, `${RESTART}\n$&`));
  }

  static async start(host: Host): Promise<LxdHost> {
    // It wants to know by which device the Internet is reached.
    await host.ip('route add default via 172.30.0.1');
    const lxd = new LxdHost(host);
    await lxd.does('start-lxd');
    await lxd.does(`lxd-here init --preseed <<'END'\n${PRESEED}\nEND`);
    return lxd;
  }

  override env(): Record<string, string> {
    return { ...super.env(), UFAN_LXD_DROPIN: this.dropIn };
  }

  async stop(): Promise<void> {
    await this.shell('lxd-here shutdown --timeout 10');
  }
}

/** As systemd does it: only the daemon ends, containers go on. */
const RESTART = `if [[ $1 == lxd ]]; then
  pid=$(lxc query /1.0 | jq .environment.server_pid)
  kill "$pid" && tail --pid="$pid" -f /dev/null
  exec start-lxd
fi`;
