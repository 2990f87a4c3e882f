/** Commands for the operator that name a fan. */
import type { UpRequest } from './protocol.js';

/**
 * Brings the fan up anew, with `flags` and perhaps on another underlay:
 * "fanctl down 250.0.0.0/8 eth0/16; fanctl up 250.0.0.0/8 eth0/16 dhcp".
 */
export function renewCommand({ overlay, underlay }: UpRequest, flags: string, next = underlay): string {
  return `fanctl down ${overlay} ${underlay}; fanctl up ${overlay} ${next} ${flags}`;
}
