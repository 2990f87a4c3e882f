/**
 * A host of the lab that fanatic sets up: this clone's programs by name, the runtimes' own files in the host's directory,
 * and a `service` of its own on PATH that restarts what runs in this host, by pid, as Debian's does.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Output, RunOptions } from '../../../bench/lab/command.js';
import { buildImage, IMAGE } from '../../../bench/lab/docker-host.js';
import type { Host } from '../../../bench/lab/host.js';
import { PROGRAMS, SETUP_DIR } from '../../../bench/lab/repository.js';

/** For podman: limits may not be raised in a container of CI; crun refuses hybrid cgroups. */
export const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=4096:8192", "nproc=4096:8192"]
[engine]
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
`;

export class GuidedHost {
  readonly host: Host;
  readonly dockerConfig: string;
  readonly cniDir: string;
  readonly lxcConfig: string;
  readonly #bin: string;
  readonly #env: Record<string, string>;

  constructor(host: Host) {
    this.host = host;
    const at = (name: string): string => join(host.dir, name);
    this.#bin = at('bin');
    this.dockerConfig = at('etc/docker/daemon.json');
    this.cniDir = at('etc/cni/net.d');
    this.lxcConfig = at('etc/lxc/default.conf');
    this.#env = {
      PATH: `${this.#bin}:${process.env.PATH}`,
      UFAN_DOCKER_CONFIG: this.dockerConfig,
      UFAN_CNI_DIR: this.cniDir,
      UFAN_CNI_DATA: at('addresses'),
      UFAN_LXC_CONFIG: this.lxcConfig,
      UFAN_BUSYBOX: join(SETUP_DIR, 'busybox/bin/busybox'),
      DOCKER_HOST: `unix://${at('docker/docker.sock')}`,
    };
    mkdirSync(this.#bin, { recursive: true });
    const program = (file: string): string => `#!/bin/sh\nexec "${process.execPath}" "${file}" "$@"\n`;
    this.install('fanatic', program(PROGRAMS.fanatic));
    this.install('fanctl', program(PROGRAMS.fanctl));
    mkdirSync(at('docker'));
    this.install('service', serviceScript(host));
  }

  /** A program on the PATH of this host. */
  install(name: string, script: string): void {
    writeFileSync(join(this.#bin, name), script);
    chmodSync(join(this.#bin, name), 0o755);
  }

  /** What its shell has beside ours. */
  env(): Record<string, string> {
    return this.#env;
  }

  /** A line of a shell script on this host; any exit status. */
  shell(line: string, options: RunOptions = {}): Promise<Output> {
    const env = { ...this.env(), ...options.env };
    return this.host.exec(['bash', '-c', line], { timeoutMs: 120_000, anyExit: true, ...options, env });
  }

  /** As `shell`, for lines that must succeed; returns what it printed. */
  async does(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.shell(line);
    if (code !== 0) throw new Error(`${line}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** A dockerd, started as the machine's own would be, that has the image of the lab. */
  async startDocker(): Promise<void> {
    await this.does('service docker start');
    await this.does(`docker import ${await buildImage(this.host.dir)} ${IMAGE}`);
  }

  async stopDocker(): Promise<void> {
    await this.shell('docker rm -f $(docker ps -aq); service docker stop');
  }

  read(path: string): string {
    return readFileSync(path, 'utf8');
  }
}

/** `ip netns exec` hides the cgroups that dockerd needs: it runs in the mounts of the test, with its own /etc/docker. */
function serviceScript({ name, dir }: Host): string {
  const docker = join(dir, 'docker');
  return `#!/bin/bash
# service NAME start|stop|restart
[[ $1 == docker ]] || exit 0
stop() {
  local pid
  pid=$(cat ${docker}/pid 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null && tail --pid="$pid" -f /dev/null
  rm -f ${docker}/pid
}
start() {
  TMPDIR=${docker} setsid nsenter --mount=/proc/${process.pid}/ns/mnt --net=/run/netns/${name} \\
    unshare -m sh -c 'mount -t tmpfs docker /etc/docker && exec "$@"' sh \\
    dockerd --config-file ${dir}/etc/docker/daemon.json --data-root ${docker}/data --exec-root ${docker}/exec \\
    --pidfile ${docker}/pid -H unix://${docker}/docker.sock --storage-driver=vfs \\
    --default-ulimit=nofile=4096:8192 </dev/null >>${docker}/log 2>&1 &
  local dockerd=$!
  until docker version >/dev/null 2>&1; do
    kill -0 $dockerd 2>/dev/null || { tail -n 1 ${docker}/log >&2; exit 1; }
    sleep 0.05
  done
}
case $2 in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
esac
`;
}
