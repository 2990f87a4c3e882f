/** A frame of a capture file, as its readers give it: capture-reader.ts, pcapng-reader.ts. */

export interface Frame {
  /** From 1, as tshark counts. */
  number: number;
  /** Since 1970. */
  timeNs: bigint;
  linkType: number;
  bytes: Uint8Array;
  /** Of the frame, of which `bytes` may be the beginning. */
  length: number;
  comment?: string;
  /** Name of its interface. */
  interfaceName?: string;
  /** Missing before it, as the file says. */
  dropped?: number;
}

/** A record longer than that is no packet, and the file no capture. */
export const MOST_RECORD = 64 << 20;
