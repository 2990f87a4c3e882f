/**
 * ECN through a tunnel (RFC 6040), and DSCP beside it (RFC 2983): the outer TOS that encap writes, and the inner
 * TOS that decap leaves.
 *
 * Encap copies in normal mode, §4.1. Decap follows the table of §4.2. The inner DSCP is never changed: the outer
 * one belongs to the underlay. TOS bytes: DSCP in the upper six bits, ECN in the lower two.
 */

export const NOT_ECT = 0;
export const ECT_1 = 1;
export const ECT_0 = 2;
export const CE = 3;

/** Argument of encapTos: copy the inner DSCP. */
export const COPY_DSCP = -1;
/** Result of decapEcn: drop the packet, under the reason `ecn`. */
export const ECN_DROP = -1;

/** RFC 6040 §4.2, figure 4: row = inner ECN, column = outer ECN, in the order of the code points above. */
const DECAP = Int8Array.of(
  // outer: Not-ECT, ECT(1), ECT(0), CE
  ...[NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP], // inner Not-ECT
  ...[ECT_1, ECT_1, ECT_1, CE], // inner ECT(1)
  ...[ECT_0, ECT_1, ECT_0, CE], // inner ECT(0)
  ...[CE, CE, CE, CE], // inner CE
);

/** Outer TOS for an inner one; `fixedDscp` is 0–63 or COPY_DSCP. */
export function encapTos(innerTos: number, fixedDscp: number): number {
  return fixedDscp < 0 ? innerTos : (fixedDscp << 2) | (innerTos & 3);
}

/** The inner TOS after decap, or ECN_DROP. Allocates nothing. */
export function decapEcn(outerTos: number, innerTos: number): number {
  const ecn = DECAP[((innerTos & 3) << 2) | (outerTos & 3)]!;
  return ecn < 0 ? ECN_DROP : (innerTos & 0xfc) | ecn;
}
