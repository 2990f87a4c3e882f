/**
 * The overlay of a fan as the operator writes it: a network in CIDR, or the first number of a /8.
 */
import { formatPrefix, type Prefix, parsePrefix } from '../addr/prefix.js';
import { errorText, FanError } from '../base/error.js';

const FIRST_NUMBER = /^(?:0|[1-9][0-9]{0,2})$/;
const CIDR = /^[0-9]+(?:\.[0-9]+){3}\/(?:0|[1-9][0-9]?)$/;

/** "250.0.0.0/8", or "250" for the same. Throws FanError bad-overlay, also where host bits are set. */
export function parseOverlay(text: string): Prefix {
  if (FIRST_NUMBER.test(text) && Number(text) <= 255) return parsePrefix(`${text}.0.0.0/8`);
  if (!CIDR.test(text)) {
    throw new FanError(
      'bad-overlay',
      `"${text}" is no overlay: write one such as 250.0.0.0/8, or 250 for it`,
    );
  }
  try {
    return parsePrefix(text);
  } catch (cause) {
    throw new FanError('bad-overlay', `overlay: ${errorText(cause)}`, { cause });
  }
}

/** The inverse of parseOverlay, always in CIDR: "250.0.0.0/8". */
export function formatOverlay(overlay: Prefix): string {
  return formatPrefix(overlay);
}
