/** The largest size that passes, by bisection: as many trials as the range has bits. */

/**
 * The largest of `passing` … `failing` − 1 for which `passes` is true; of `passing` it is known to be, of `failing` not
 * to be. It is taken to be true of every smaller size.
 */
export async function searchSize(
  passing: number,
  failing: number,
  passes: (size: number) => Promise<boolean>,
): Promise<number> {
  let low = passing;
  let high = failing;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await passes(middle)) low = middle;
    else high = middle;
  }
  return low;
}
