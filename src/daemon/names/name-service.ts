/**
 * The names of all fans that have the flag `dns`, one port each. What answers them is loaded with the first such fan.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { contains } from '../../addr/prefix.js';
import { errorText } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { NAME_PORT } from '../../base/name-port.js';
import type { FanRecord } from '../../control/state-store.js';
import { readNeighbours } from '../../host/neighbours.js';
import { type DhcpData, leaseFileOf } from '../../host/steps/dhcp-step.js';
import type { NamePort } from './name-port.js';

export class NameService {
  readonly #readPeers: () => Promise<ReadonlySet<number>>;
  readonly #log: Logger;
  /** By fan id. */
  readonly #ports = new Map<string, NamePort>();

  /** `readPeers`: underlay addresses, u32, of hosts that sent packets through a fan. */
  constructor(readPeers: () => Promise<ReadonlySet<number>>, log: Logger) {
    this.#readPeers = readPeers;
    this.#log = log;
  }

  /** Serves exactly these fans from now on. What can't be opened is logged: no packet depends on it. */
  async configure(fans: readonly FanRecord[]): Promise<void> {
    const served = fans.filter(({ plan }) => plan.dns);
    for (const [id, port] of this.#ports) {
      if (served.some((fan) => fan.id === id)) continue;
      port.close();
      this.#ports.delete(id);
    }
    for (const fan of served) if (!this.#ports.has(fan.id)) await this.#open(fan);
  }

  close(): void {
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
  }

  async #open({ id, plan, steps }: FanRecord): Promise<void> {
    const { mapping, underlayDevice } = plan;
    const step = steps.find(({ kind }) => kind === 'dhcp');
    const leases = plan.leases ?? (step && leaseFileOf(step.data as unknown as DhcpData));
    if (leases === undefined) return;
    try {
      const [{ NamePort }, { OwnNames }] = await Promise.all([
        import('./name-port.js'),
        import('./own-names.js'),
      ]);
      const port = await NamePort.open({
        mapping,
        own: new OwnNames(leases),
        knownHosts: async () => {
          const neighbours = await readNeighbours(underlayDevice).catch(() => []);
          return [...(await this.#readPeers()), ...neighbours].filter((host) =>
            contains(mapping.underlay, host),
          );
        },
      });
      this.#ports.set(id, port);
    } catch (error) {
      const at = `${formatAddress(mapping.gateway)} port ${NAME_PORT}`;
      this.#log.error(
        `no names of other hosts for ${plan.bridge}, as ${at} can't be had: ${errorText(error)}`,
      );
    }
  }
}
