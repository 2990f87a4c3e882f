/**
 * The fan's arithmetic once more, slowly: addresses as strings of 32 binary digits, cut and joined as fan maps are
 * drawn on paper. Shares nothing with src/fan.
 */

const bitsOf = (address: number) => address.toString(2).padStart(32, '0');
const addressOf = (bits: string) => Number.parseInt(bits, 2);

export interface SlowFan {
  overlayBase: number;
  overlayLength: number;
  address: number;
  underlayLength: number;
}

/** Base of the slice: overlay network, then the host's bits, then zeros. */
export function slowSlice(fan: SlowFan): number {
  const network = bitsOf(fan.overlayBase).slice(0, fan.overlayLength);
  const host = bitsOf(fan.address).slice(fan.underlayLength);
  return addressOf((network + host).padEnd(32, '0'));
}

/** The underlay host of an overlay address: underlay network, then what follows the overlay network. */
export function slowHost(fan: SlowFan, overlayAddress: number): number {
  const hostBits = 32 - fan.underlayLength;
  const network = bitsOf(fan.address).slice(0, fan.underlayLength);
  const host = bitsOf(overlayAddress).slice(fan.overlayLength, fan.overlayLength + hostBits);
  return addressOf(network + host);
}

/** Index of the longest of `overlays` whose digits begin those of `address`, or −1. */
export function slowLookup(overlays: readonly { base: number; length: number }[], address: number): number {
  let best = -1;
  overlays.forEach(({ base, length }, i) => {
    const matches = bitsOf(address).startsWith(bitsOf(base).slice(0, length));
    if (matches && (best === -1 || length > overlays[best]!.length)) best = i;
  });
  return best;
}
