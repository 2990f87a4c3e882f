/* Runs every test and prints the sum; exit 1 when one failed. */
#include <inttypes.h>
#include <stdlib.h>

#include "test.h"

static uint64_t random_state = 0x5eed;

uint32_t random_below(uint32_t limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 32) % limit);
}

int main(void) {
  const struct test *files[] = {checksum_tests, segment_tests, merge_tests,
                                vnet_tests,     fuzz_tests,    udp_tests};
  unsigned passed = 0;
  unsigned failed = 0;
  const char *seed = getenv("UFAN_SEED");
  if (seed != NULL) random_state = strtoull(seed, NULL, 0);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    for (const struct test *test = files[i]; test->name != NULL; test++) {
      bool held = test->run();
      printf("%s %s\n", held ? "ok  " : "FAIL", test->name);
      passed += held;
      failed += !held;
    }
  }
  printf("%u passed, %u failed\n", passed, failed);
  return failed > 0;
}
