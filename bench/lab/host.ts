/**
 * The two kinds of machine in a lab. A host has eth0 on the underlay and a run directory of its own, so that each
 * has its own fand. A container has an eth0 whose other end lies loose in its host until a bridge takes it.
 */
import type { Output, RunOptions } from './command.js';
import { awaitLinks } from './links.js';
import { Namespace } from './namespace.js';
import { CACHE, FANCTL } from './repository.js';

export interface HostDescription {
  /** From 1. */
  index: number;
  namespace: string;
  /** "172.30.0.28/16" */
  underlay: string;
  /** UFAN_RUN_DIR of its fand, and place for files of the test. */
  dir: string;
  containers: readonly string[];
}

export class Host extends Namespace {
  readonly index: number;
  readonly underlay: string;
  /** The address of `underlay`, without its width. */
  readonly address: string;
  readonly dir: string;
  readonly containers: readonly Container[];

  constructor(description: HostDescription) {
    super(description.namespace, {
      UFAN_RUN_DIR: description.dir,
      UFAN_STATE_DIR: `${description.dir}-state`,
      UFAN_CONFIG: `${description.dir}/fan.conf`,
      ...CACHE,
    });
    this.index = description.index;
    this.underlay = description.underlay;
    this.address = description.underlay.split('/')[0] ?? '';
    this.dir = description.dir;
    this.containers = description.containers.map((name, i) => new Container(name, this, i + 1));
  }

  /** The `index`th container, from 1. */
  container(index: number): Container {
    const found = this.containers[index - 1];
    if (!found) throw new RangeError(`host ${this.index} has no container ${index}`);
    return found;
  }

  /** Runs this clone's fanctl in the host: `fanctl(['up', '250.0.0.0/8', 'eth0/16'])`. */
  fanctl(args: readonly string[], options: RunOptions = {}): Promise<Output> {
    return this.exec([process.execPath, FANCTL, ...args], options);
  }
}

export interface Attachment {
  bridge: string;
  /** "250.0.28.2/24"; without it the container is left to DHCP. */
  address?: string;
  /** Its default route. */
  gateway?: string;
  /** Of both ends of the container's veth. */
  mtu: number;
}

export class Container extends Namespace {
  readonly host: Host;
  readonly index: number;
  /** The host's end of its veth. */
  readonly port: string;

  constructor(name: string, host: Host, index: number) {
    super(name);
    this.host = host;
    this.index = index;
    this.port = `c${index}`;
  }

  /** Plugs the container into a bridge of its host, which passes its packets then; what it had before is replaced. */
  async attach({ bridge, address, gateway, mtu }: Attachment): Promise<void> {
    await this.host.ip(`link set ${this.port} mtu ${mtu} master ${bridge}`, `link set ${this.port} up`);
    await this.ip(
      'address flush dev eth0 scope global',
      `link set eth0 mtu ${mtu}`,
      'link set eth0 up',
      ...(address ? [`address add ${address} dev eth0`] : []),
      ...(gateway ? [`route replace default via ${gateway}`] : []),
    );
    await awaitLinks(this.name, 'eth0');
    await awaitLinks(this.host.name, this.port, bridge);
  }
}
