/** Checks of the machine itself: programs, the TUN device, kernels with known faults, the clock. */
import { readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { isInstalled } from '../../host/run.js';
import { type Check, fail, ok, warn } from './finding.js';

const TUN = '/dev/net/tun';
/** Character device 10:200, as stat's rdev has it. */
const TUN_RDEV = (10 << 8) | 200;

const CLOCK_SOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
/** Each reading leaves the CPU, some microseconds long. */
const SLOW_CLOCKS = ['hpet', 'acpi_pm', 'jiffies'];

interface Regression {
  readonly kernel: RegExp;
  readonly what: string;
}

const REGRESSIONS: readonly Regression[] = [
  { kernel: /^6\.6\.44\b/, what: 'refuses merged TCP at a TUN with EINVAL' },
  { kernel: /^7\.0\b/, what: 'corrupts UDP that it segments (GSO)' },
];

export const programMissing: Check = {
  name: 'program-missing',
  severity: 'critical',
  async examine({ fans }) {
    const packages: [string, string][] = [
      ['ip', 'iproute2'],
      ['nft', 'nftables'],
    ];
    if (fans.some(({ plan }) => plan.dhcp)) packages.push(['dnsmasq', 'dnsmasq-base']);
    const found = await Promise.all(packages.map(async ([program]) => isInstalled(program)));
    const missing = packages.filter((_, i) => !found[i]);
    if (missing.length === 0) return [ok(`${packages.map(([program]) => program).join(', ')} are installed`)];
    return missing.map(([program, name]) => fail(`${program} is not installed`, `apt-get install ${name}`));
  },
};

export const tunDeviceMissing: Check = {
  name: 'tun-device-missing',
  severity: 'critical',
  async examine() {
    const found = await stat(TUN).catch(() => undefined);
    if (found?.isCharacterDevice() && found.rdev === TUN_RDEV) return [ok(`${TUN} is there`)];
    const what = found ? 'is not the TUN device' : 'is missing';
    return [fail(`${TUN} ${what}`, `modprobe tun; mkdir -p /dev/net; mknod ${TUN} c 10 200`)];
  },
};

export const kernelRegression: Check = {
  name: 'kernel-regression',
  severity: 'major',
  async examine() {
    return [examineKernel(release())];
  },
};

/** `kernel` as `uname -r` prints it. */
export function examineKernel(kernel: string) {
  const known = REGRESSIONS.find((regression) => regression.kernel.test(kernel));
  if (!known) return ok(`Linux ${kernel}: no fault known`);
  return warn(`Linux ${kernel} ${known.what}`, 'upgrade the kernel: apt-get update && apt-get upgrade');
}

export const slowClock: Check = {
  name: 'slow-clock',
  severity: 'minor',
  async examine() {
    const source = (await readFile(CLOCK_SOURCE, 'latin1').catch(() => 'unknown')).trim();
    if (!SLOW_CLOCKS.includes(source)) return [ok(`clock source ${source}`)];
    return [warn(`clock source ${source} is slow to read`, `echo tsc > ${CLOCK_SOURCE}`)];
  },
};
