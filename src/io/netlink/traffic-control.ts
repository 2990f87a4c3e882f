/**
 * Traffic control (tc(8)) that a packet meets only on its way through the daemon, and passes by where a program in the
 * kernel decapsulates it (`--io bpf`): filters at the ingress of the underlay's device, shaping and filters of the fan's
 * bridge. TCX programs of others, which have no qdisc, are not seen.
 */
import { askAll } from './ask.js';
import { decodeQdisc, encodeGetQdiscs, NETLINK_ROUTE, type Qdisc } from './rtnetlink.js';

/** Where filters at the ingress hang. */
const FOR_FILTERS: readonly string[] = ['ingress', 'clsact'];
/** That of a device which queues nothing. */
const NO_QUEUE = 'noqueue';

/** Of all devices. Throws an Error with {code, errno, syscall}. */
export function readQdiscs(): Qdisc[] {
  const qdiscs: Qdisc[] = [];
  askAll(NETLINK_ROUTE, encodeGetQdiscs(), (message) => {
    const qdisc = decodeQdisc(message);
    if (qdisc) qdiscs.push(qdisc);
  });
  return qdiscs;
}

/** The first that would be passed by, devices by their index; undefined where there is none. */
export function qdiscPassedBy(
  qdiscs: readonly Qdisc[],
  devices: { underlay: number; bridge: number },
): Qdisc | undefined {
  return qdiscs.find(
    ({ device, kind }) =>
      (device === devices.underlay && FOR_FILTERS.includes(kind)) ||
      (device === devices.bridge && kind !== NO_QUEUE),
  );
}
