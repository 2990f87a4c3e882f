/**
 * What a state file may say: its names reach `ip`, sysctl paths and file names of root's when a fan is undone, so each is
 * looked at before the first is used. Only what is acted by is; what is for reading alone may be anything of its kind.
 *
 * By hand and not by a library: fanctl and fand look at each start, and a library's own start costs more than all of it.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { parsePrefix } from '../addr/prefix.js';
import { isDeviceName } from '../config/device-name.js';

/** Undefined where the value is right; else where in it something is not, "fans[0].plan.tun". */
type Check = (value: unknown, at: string) => string | undefined;

const holds =
  (test: (value: unknown) => boolean): Check =>
  (value, at) =>
    test(value) ? undefined : at;

const MAX_U32 = 0xffffffff;
/** Kernel limits are lower; a bound keeps loops over it short. */
const MOST = 1 << 24;

const text = holds((value) => typeof value === 'string');
const flag = holds((value) => typeof value === 'boolean');
const count = holds((value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MOST);
const u32 = holds((value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_U32);
const length = holds((value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 32);
const device = holds((value) => typeof value === 'string' && isDeviceName(value));
/** A directory of net.ipv4.conf. */
const configured = holds(
  (value) => value === 'default' || (typeof value === 'string' && isDeviceName(value)),
);
const address = holds((value) => typeof value === 'string' && parses(() => parseAddress(value)));
const network = holds((value) => typeof value === 'string' && parses(() => parsePrefix(value)));
/** What a setting of the kernel was: "1". */
const setting = holds((value) => typeof value === 'string' && /^-?\d{1,20}$/.test(value));
/** Never 0 or 1: a signal to those is one to all, or to init. */
const processId = holds((value) => Number.isInteger(value) && Number(value) > 1 && Number(value) <= MOST);
const hardware = holds((value) => typeof value === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(value));
const ownTable = holds((value) => typeof value === 'string' && /^ufan-[0-9a-f]{8}$/.test(value));
const guardKey = holds((value) => typeof value === 'string' && /^[0-9a-f]{8}$/.test(value));
const directory = holds(
  (value) =>
    typeof value === 'string' &&
    /^\//.test(value) &&
    !value.includes('\0') &&
    !/(^|\/)\.\.(\/|$)/.test(value),
);

function parses(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

const optional =
  (check: Check): Check =>
  (value, at) =>
    value === undefined ? undefined : check(value, at);

function list(check: Check): Check {
  return (value, at) => {
    if (!Array.isArray(value)) return at;
    return first(value.map((each, i) => () => check(each, `${at}[${i}]`)));
  };
}

function pair(one: Check, other: Check): Check {
  return (value, at) => {
    if (!Array.isArray(value) || value.length !== 2) return at;
    return one(value[0], `${at}[0]`) ?? other(value[1], `${at}[1]`);
  };
}

/** An object with these; what else it has is not used. */
function fields(checks: Readonly<Record<string, Check>>): Check {
  return (value, at) => {
    if (!isObject(value)) return at;
    return first(
      Object.entries(checks).map(
        ([name, check]) =>
          () =>
            check(Object.hasOwn(value, name) ? value[name] : undefined, at === '' ? name : `${at}.${name}`),
      ),
    );
  };
}

/** An object of any names that pass `name`. */
function table(name: Check, check: Check): Check {
  return (value, at) => {
    if (!isObject(value)) return at;
    return first(
      Object.entries(value).map(
        ([key, each]) =>
          () =>
            name(key, at) ?? check(each, `${at}.${key}`),
      ),
    );
  };
}

function first(looks: readonly (() => string | undefined)[]): string | undefined {
  for (const look of looks) {
    const fault = look();
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const prefix = fields({ base: u32, length });
const port = holds((value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 0xffff);
const vxlan = fields({ vni: count, port, layer2: flag });

/** The data of each kind of step, as host/steps/ declares it. */
const STEP_DATA: ReadonlyMap<string, Check> = new Map(
  Object.entries({
    forwarding: fields({
      before: optional(
        fields({ ipForward: setting, acceptRedirects: setting, forwardingDevices: list(configured) }),
      ),
      users: optional(list(text)),
    }),
    guard: fields({
      key: guardKey,
      bridge: device,
      tun: device,
      overlay: network,
      slice: network,
      hostReserve: count,
      address,
      dhcp: flag,
      dns: optional(flag),
      foreignSources: flag,
      notrack: optional(flag),
      underlayDevice: device,
      vxlan: optional(vxlan),
      vxlanDevice: optional(device),
    }),
    isolate: fields({ key: guardKey, bridge: device, gateway: address, slice: network, hostReserve: count }),
    'layer2-guard': fields({
      key: guardKey,
      table: ownTable,
      bridge: device,
      tap: device,
      overlay: network,
      slice: network,
      own: list(hardware),
    }),
    bridge: fields({
      bridge: device,
      mtu: count,
      gateway: address,
      length,
      hostReserve: count,
      claimed: optional(flag),
      before: optional(
        fields({ hardwareAddress: hardware, alias: text, mtu: count, isUp: flag, addresses: list(address) }),
      ),
    }),
    tun: fields({
      tun: device,
      mtu: count,
      gateway: address,
      queues: optional(count),
      tap: optional(fields({ hardwareAddress: hardware, bridge: optional(device) })),
      claimed: optional(flag),
    }),
    'vxlan-device': fields({ device, address, port, vni: count }),
    route: fields({ overlay: network, tun: device, gateway: address }),
    'rp-filter': fields({
      checks: list(fields({ device, from: u32 })),
      own: list(device),
      before: optional(table(device, setting)),
    }),
    nat: fields({
      table: ownTable,
      bridge: device,
      tun: optional(device),
      clampMss: optional(flag),
      slice: network,
      overlay: network,
      underlay: network,
      address,
      port: optional(port),
    }),
    firewall: fields({
      bridge: device,
      tun: device,
      underlay: pair(address, length),
      address,
      dhcp: flag,
      underlayDevice: optional(device),
      arrival: optional(device),
      gateway: optional(address),
      port: optional(port),
      layer2: optional(flag),
      earlier: optional(list(device)),
    }),
    dhcp: fields({
      bridge: device,
      gateway: address,
      first: address,
      last: address,
      count,
      length,
      mtu: count,
      runDir: directory,
      leaseDir: optional(directory),
      namesOf: optional(network),
      keepLeases: optional(flag),
      server: optional(fields({ pid: processId, start: setting })),
    }),
  }),
);

const step: Check = (value, at) => {
  const fault = fields({ kind: text })(value, at);
  if (fault !== undefined) return fault;
  const { kind, data } = value as { kind: string; data: unknown };
  return (STEP_DATA.get(kind) ?? holds(() => false))(data, `${at}.data`);
};

const plan = fields({
  mapping: fields({
    overlay: prefix,
    underlay: prefix,
    address: u32,
    shift: length,
    slice: prefix,
    gateway: u32,
  }),
  bridge: device,
  tun: device,
  mtu: count,
  hostReserve: count,
  dhcp: flag,
  dns: optional(flag),
  leases: optional(text),
  clampMss: optional(flag),
  foreignSources: optional(flag),
  isolate: optional(flag),
  notrack: optional(flag),
  workers: optional(count),
  underlayDevice: device,
  vxlan: optional(vxlan),
  vxlanDevice: optional(device),
  runDir: directory,
  stateDir: optional(directory),
});

const view = fields({
  bridge: device,
  overlay: network,
  underlay: text,
  slice: network,
  gateway: address,
  device,
  mtu: count,
  io: text,
  ioNotes: optional(list(text)),
  flags: text,
});

const request = fields({
  overlay: text,
  underlay: text,
  options: fields({ bridge: optional(device), dhcp: flag, hostReserve: count }),
});

const state = fields({
  version: holds((value) => value === 1),
  host: list(step),
  fans: list(fields({ id: text, view, request, plan, steps: list(step), complete: flag })),
  removeRunDir: optional(flag),
});

/** Undefined where `value` is a state that may be acted by; else the place in it that is not. */
export const stateFault = (value: unknown): string | undefined => {
  const fault = state(value, '');
  return fault === '' ? 'the whole' : fault;
};

/** The same of what left-ports.json says: by slice, what was on its bridge. */
export const leftPortsFault = (value: unknown): string | undefined =>
  table(network, list(fields({ name: device, index: u32, hardwareAddress: text })))(value, 'it');
