/*
 * A test is a function that returns whether it held; CHECK returns false and says where. Random
 * tests draw from one seeded generator, so that every run is the same unless UFAN_SEED says
 * otherwise.
 */
#ifndef UFAN_TEST_H
#define UFAN_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CHECK(condition)                                                \
  do {                                                                  \
    if (!(condition)) {                                                 \
      fprintf(stderr, "  %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      return false;                                                     \
    }                                                                   \
  } while (0)

struct test {
  const char *name;
  bool (*run)(void);
};

/* Each file's tests end with one whose name is NULL. */
extern const struct test checksum_tests[];
extern const struct test segment_tests[];
extern const struct test merge_tests[];
extern const struct test vnet_tests[];
extern const struct test fuzz_tests[];
extern const struct test udp_tests[];

/* A random number below `limit`. */
uint32_t random_below(uint32_t limit);

#endif
