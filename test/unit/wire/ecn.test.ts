import { describe, expect, it } from 'vitest';
import { CE, COPY_DSCP, decapEcn, ECN_DROP, ECT_0, ECT_1, encapTos, NOT_ECT } from '../../../src/wire/ecn.js';

/** RFC 6040 §4.2, figure 4, as printed: rows by inner, columns Not-ECT, ECT(0), ECT(1), CE by outer. */
const FIGURE_4: readonly [number, readonly number[]][] = [
  [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP]],
  [ECT_0, [ECT_0, ECT_0, ECT_1, CE]],
  [ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
  [CE, [CE, CE, CE, CE]],
];
const COLUMNS = [NOT_ECT, ECT_0, ECT_1, CE];

const COMBINATIONS = FIGURE_4.flatMap(([inner, row]) =>
  row.map((result, column) => ({ inner, outer: COLUMNS[column]!, result })),
);

describe('decapEcn', () => {
  it.each(COMBINATIONS)('inner $inner under outer $outer is $result', ({ inner, outer, result }) => {
    for (let dscp = 0; dscp < 64; dscp++) {
      const tos = decapEcn(((63 - dscp) << 2) | outer, (dscp << 2) | inner);
      expect(tos).toBe(result === ECN_DROP ? ECN_DROP : (dscp << 2) | result);
    }
  });
});

describe('encapTos', () => {
  it('copies the whole TOS in normal mode', () => {
    for (let tos = 0; tos < 256; tos++) expect(encapTos(tos, COPY_DSCP)).toBe(tos);
  });

  it('copies ECN alone where the DSCP is fixed', () => {
    expect(encapTos(0xb8 | CE, 0)).toBe(CE);
    expect(encapTos(ECT_0, 46)).toBe(0xb8 | ECT_0);
  });
});
