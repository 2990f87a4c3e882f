/** Whether a device's reverse-path filter is strict. */
import { readSysctl } from '../../host/sysctl.js';

/** The kernel uses the greater of `all` and the device's own value. */
export async function strictnessOf(device: string): Promise<number> {
  const values = await Promise.all(
    ['all', device].map(async (name) => Number((await readSysctl(`ipv4/conf/${name}/rp_filter`)) ?? '0')),
  );
  return Math.max(...values);
}

/** 1 is strict, 2 loose, 0 off (RFC 3704). */
export async function isStrict(device: string): Promise<boolean> {
  return (await strictnessOf(device)) === 1;
}
