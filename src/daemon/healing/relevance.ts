/**
 * Whether a change of the host may have to do with a fan. Containers come and go, with devices, and routing daemons with
 * routes: of these only what is at a fan's own devices, its underlay's, or inside its networks counts.
 */
import { overlaps, type Prefix, prefixOf } from '../../addr/prefix.js';
import type { FanRecord } from '../../control/state-store.js';
import type { Notice } from '../../io/netlink/host-notices.js';
import type { LinkRole } from '../../io/netlink/rtnetlink.js';

type LinkNotice = Extract<Notice, { of: 'link' }>;

export class Relevance {
  /** Index of a link → the names that it had. */
  readonly #names = new Map<number, readonly string[]>();
  /** Index of a link → its bridge and whether it is up, as told last. */
  readonly #states = new Map<number, string>();

  learn({ index, name }: LinkRole): void {
    const known = this.#names.get(index) ?? [];
    if (name !== '' && !known.includes(name)) this.#names.set(index, [...known, name]);
  }

  concerns(notice: Notice, fans: readonly FanRecord[]): boolean {
    switch (notice.of) {
      case 'link':
        return this.#concernsLink(notice, fans);
      case 'settings':
        return notice.device < 0 || this.#isOfFan(notice.device, fans);
      case 'traffic-control':
        // What it keeps from the kernel is seen to with the underlay.
        return false;
      case 'route':
        return networksOf(fans).some((network) => overlaps(network, prefixOf(notice.base, notice.length)));
      default:
        // Addresses of the host change seldom, and any could be in an overlay.
        return true;
    }
  }

  #concernsLink({ link, isGone, isPortState }: LinkNotice, fans: readonly FanRecord[]): boolean {
    const { index, master, isUp } = link;
    this.learn(link);
    const isOfFan = this.#isOfFan(index, fans) || this.#isOfFan(master, fans);
    const state = `${master} ${isUp}`;
    const isKnown = this.#states.get(index) === state;
    this.#states.set(index, state);
    if (isGone) {
      this.#names.delete(index);
      this.#states.delete(index);
    }
    return isOfFan && !(isPortState && isKnown);
  }

  #isOfFan(index: number, fans: readonly FanRecord[]): boolean {
    const names = this.#names.get(index) ?? [];
    return fans.some(({ plan: { bridge, tun, vxlanDevice = tun, underlayDevice } }) =>
      [bridge, tun, vxlanDevice, underlayDevice].some((name) => names.includes(name)),
    );
  }
}

function networksOf(fans: readonly FanRecord[]): Prefix[] {
  return fans.flatMap(({ plan: { mapping } }) => [mapping.overlay, mapping.underlay]);
}
