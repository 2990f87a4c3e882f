/**
 * The little address arithmetic that the lab needs, written apart from src/addr and src/fan on purpose: the
 * demo checks with it what fanctl says.
 */

/** "250.0.28.1" → host-order u32. */
export function parseAddress(text: string): number {
  return text.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

export interface Network {
  address: number;
  length: number;
  /** Of the network part, as u32. */
  mask: number;
}

/** "172.30.0.28/16"; host bits stay in `address`. */
export function parseNetwork(text: string): Network {
  const [address = '', length = '32'] = text.split('/');
  const bits = Number(length);
  return { address: parseAddress(address), length: bits, mask: bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0 };
}
