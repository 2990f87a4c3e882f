/**
 * A real Docker in a host of the lab: a dockerd with all its state in the host's directory, its containers on a
 * bridge that exists already or on none, and an image made of busybox and iperf3, so that nothing is downloaded.
 */
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatAddress, parseNetwork } from './address.js';
import { type Output, RunningCommand, type RunOptions, run, type StartOptions } from './command.js';
import type { Host } from './host.js';
import { Namespace } from './namespace.js';
import { SETUP_DIR } from './repository.js';

export const IMAGE = 'busybox-iperf3';
const BUSYBOX = join(SETUP_DIR, 'busybox/bin/busybox');
/** Not iperf 2, which takes every address from 224.0.0.0 up, the overlay's 250.0.0.0/8 too, for multicast. */
const IPERF = '/usr/bin/iperf3';
const START_MS = 60_000;
/** Hides the machine's own daemon.json, and takes the key that dockerd writes there. */
const OWN_CONFIG = 'mount -t tmpfs docker /etc/docker && exec dockerd "$@"';

export interface DockerNetwork {
  bridge: string;
  /** From which Docker takes addresses: a part of the bridge's network. */
  range: string;
  mtu: number;
}

/** dockerd's options for a bridge that is there already and needs none of Docker's own rules. */
export function onBridge({ bridge, range, mtu }: DockerNetwork): string[] {
  const off = ['iptables', 'ip6tables', 'ip-masq', 'ip-forward', 'userland-proxy'];
  return [
    `--bridge=${bridge}`,
    `--fixed-cidr=${range}`,
    `--mtu=${mtu}`,
    ...off.map((name) => `--${name}=false`),
  ];
}

/** Docker's part of the slice, so that it meets neither the gateway nor what DHCP leases from below. */
export function upperHalf(slice: string): string {
  const { address, length } = parseNetwork(slice);
  return `${formatAddress(address + 2 ** (31 - length))}/${length + 1}`;
}

/** The network of a running container, with the machine's own programs in it instead of the image's. */
class ContainerNetwork extends Namespace {
  readonly #pid: number;

  constructor(name: string, pid: number) {
    super(name);
    this.#pid = pid;
  }

  override async ip(...lines: readonly string[]): Promise<void> {
    await this.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  protected override inside(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.#pid}/ns/net`, ...argv];
  }
}

export class DockerHost {
  readonly #socket: string;
  readonly #daemon: RunningCommand;

  private constructor(socket: string, daemon: RunningCommand) {
    this.#socket = socket;
    this.#daemon = daemon;
  }

  /**
   * Resolves when it answers; `network` is dockerd's options for it. nsenter, because `ip netns exec` hides the
   * cgroups; a mount namespace of its own, so that its mounts go with it and the machine's /etc/docker is out of it.
   */
  static async start(host: Host, network: readonly string[]): Promise<DockerHost> {
    const dir = join(host.dir, 'docker');
    const socket = join(dir, 'docker.sock');
    mkdirSync(dir, { recursive: true });
    const argv = [
      ...['nsenter', `--net=/run/netns/${host.name}`, 'unshare', '-m', 'sh', '-c', OWN_CONFIG, 'dockerd'],
      ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid')],
      ...['-H', `unix://${socket}`, '--storage-driver=vfs', '--default-ulimit=nofile=4096:8192'],
      ...network,
    ];
    const daemon = new RunningCommand(argv, { env: { TMPDIR: dir } });
    await daemon.prints(/API listen on/, START_MS);
    return new DockerHost(socket, daemon);
  }

  /** `docker …` against this daemon. */
  docker(args: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run(['docker', '-H', `unix://${this.#socket}`, ...args], options);
  }

  spawn(args: readonly string[], options: StartOptions = {}): RunningCommand {
    return new RunningCommand(['docker', '-H', `unix://${this.#socket}`, ...args], options);
  }

  /** Starts a container that idles; returns its address. */
  async runContainer(name: string): Promise<string> {
    await this.docker(['run', '-d', '--name', name, '--stop-timeout', '1', IMAGE, 'sleep', '600']);
    const format = '{{.NetworkSettings.IPAddress}}';
    return (await this.docker(['inspect', '-f', format, name])).stdout.trim();
  }

  async networkOf(name: string): Promise<Namespace> {
    const { stdout } = await this.docker(['inspect', '-f', '{{.State.Pid}}', name]);
    return new ContainerNetwork(name, Number(stdout));
  }

  /** Removes its containers and ends it. */
  async stop(): Promise<void> {
    const { stdout } = await this.docker(['ps', '-aq']);
    const ids = stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await this.docker(['rm', '-f', ...ids]);
    await this.#daemon.stop();
  }
}

/** The image's file system as a tar file in `dir`, for `docker import`. */
export async function buildImage(dir: string): Promise<string> {
  const tar = join(dir, 'rootfs.tar');
  await run(['tar', '-C', await buildRoot(dir), '-cf', tar, '.']);
  return tar;
}

/** The image's file system as a tree in `dir`. */
export async function buildRoot(dir: string): Promise<string> {
  if (!existsSync(BUSYBOX)) throw new Error(`${BUSYBOX} is missing: run scripts/setup`);
  const root = join(dir, 'rootfs');
  const put = (file: string, path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(file, join(root, path));
  };
  put(BUSYBOX, '/bin/busybox');
  for (const path of await lines(BUSYBOX, '--list-full')) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (!existsSync(join(root, path))) symlinkSync('/bin/busybox', join(root, path));
  }
  for (const file of [IPERF, ...(await librariesOf(IPERF))]) put(file, file);
  for (const path of ['etc', 'proc', 'sys', 'dev', 'tmp']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  return root;
}

/** Shared libraries and the loader, by the paths at which the program looks for them. */
async function librariesOf(program: string): Promise<string[]> {
  return (await lines('ldd', program)).flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

async function lines(...argv: string[]): Promise<string[]> {
  return (await run(argv)).stdout.split('\n').filter(Boolean);
}
