/**
 * Names of network devices, as the kernel's dev_valid_name() and dev_alloc_name() take them: the underlay device
 * of a fan and the bridge that `bridge NAME` asks for. Nothing narrower: `enp0s3`, `br-lan` and `250` are names.
 */

/** IFNAMSIZ − 1, in bytes of UTF-8. */
const MAX_BYTES = 15;

/** '%' makes a name a template, '/' and ':' are taken by sysfs and the old aliases. */
const REFUSED_BYTES = new Set([...'%/:'].map((c) => c.charCodeAt(0)));

/** The sysctl tree has directories of these names, so the kernel gives them to no device that carries IPv4. */
const RESERVED = new Set(['.', '..', 'all', 'default']);

/** Whether Linux lets a device that carries IPv4 be called this. */
export function isDeviceName(name: string): boolean {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length < 1 || bytes.length > MAX_BYTES || RESERVED.has(name)) return false;
  return bytes.every((byte) => byte !== 0 && !REFUSED_BYTES.has(byte) && !isKernelSpace(byte));
}

/** The kernel's isspace(): ASCII white space, and 0xa0 because its table is Latin-1. */
function isKernelSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0xa0 || (byte >= 0x09 && byte <= 0x0d);
}
