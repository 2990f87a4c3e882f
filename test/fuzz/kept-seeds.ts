/** Seeds that found something once: each run begins with them. */
export const KEPT_SEEDS: Readonly<Record<string, readonly number[]>> = {
  captures: [1446346290],
  control: [1476646610],
};
