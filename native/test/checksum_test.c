/* checksum.c against the slow oracle, at every alignment and length that its loops treat
 * differently. */
#include "../checksum.h"

#include "generate.h"
#include "test.h"

static bool matches_slow(const uint8_t *bytes, size_t length) {
  uint8_t field[2];
  checksum_store(field, checksum_sum(bytes, length));
  CHECK(load_be16(field) == slow_checksum(bytes, length, 0));
  return true;
}

static bool test_lengths(void) {
  uint8_t bytes[400];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)random_below(256);
  for (size_t offset = 0; offset < 9; offset++) {
    for (size_t length = 0; length + offset <= sizeof bytes; length++) {
      CHECK(matches_slow(bytes + offset, length));
    }
  }
  return true;
}

static bool test_carries(void) {
  static uint8_t ones[70000];
  memset(ones, 0xff, sizeof ones);
  for (size_t length = 65500; length <= 65540; length++) CHECK(matches_slow(ones + 1, length));
  return true;
}

static bool test_parts_add(void) {
  uint8_t bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)random_below(256);
  for (size_t cut = 0; cut <= sizeof bytes; cut += 2) {
    uint64_t sum = checksum_sum(bytes, cut) + checksum_sum(bytes + cut, sizeof bytes - cut);
    CHECK(checksum_fold(sum) == checksum_fold(checksum_sum(bytes, sizeof bytes)));
  }
  return true;
}

static bool test_fold_keeps_nonzero(void) {
  CHECK(checksum_fold(0) == 0);
  CHECK(checksum_fold(0xffff) == 0xffff);
  CHECK(checksum_fold(UINT64_MAX) == 0xffff);
  CHECK(checksum_fold(0xffff0000) == 0xffff);
  return true;
}

const struct test checksum_tests[] = {
    {"checksum: every length and alignment", test_lengths},
    {"checksum: nothing is lost in carries", test_carries},
    {"checksum: sums of even parts add up", test_parts_add},
    {"checksum: folding never makes a zero", test_fold_keeps_nonzero},
    {NULL, NULL},
};
