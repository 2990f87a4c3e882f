/*
 * The Internet checksum's inner loop (RFC 1071): 32-bit words added into 64-bit lanes, which cannot
 * overflow below 2^32 words. The even and odd halves of each lane go to separate accumulators, a
 * mask and a shift in place of a widening move. Compiled twice where the loader can choose by CPU
 * (AVX2, or what the target has); sanitizers are not up yet when the loader chooses, and get the
 * plain one.
 */
#include "checksum.h"

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

typedef uint64_t lanes __attribute__((vector_size(32)));

FOR_EACH_CPU
uint64_t checksum_sum(const uint8_t *bytes, size_t length) {
  const lanes low = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  lanes even = {0};
  lanes odd = {0};
  lanes even2 = {0};
  lanes odd2 = {0};
  const uint8_t *end = bytes + length;
  for (; (size_t)(end - bytes) >= 2 * sizeof(lanes); bytes += 2 * sizeof(lanes)) {
    lanes block;
    lanes block2;
    memcpy(&block, bytes, sizeof block);
    memcpy(&block2, bytes + sizeof block, sizeof block2);
    even += block & low;
    odd += block >> 32;
    even2 += block2 & low;
    odd2 += block2 >> 32;
  }
  even += odd + even2 + odd2;
  uint64_t sum = even[0] + even[1] + even[2] + even[3];
  for (; end - bytes >= 8; bytes += 8) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    sum += (word & 0xffffffff) + (word >> 32);
  }
  if (end - bytes >= 4) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    sum += word;
    bytes += 4;
  }
  if (end - bytes >= 2) {
    uint16_t word;
    memcpy(&word, bytes, sizeof word);
    sum += word;
    bytes += 2;
  }
  if (end > bytes) {
    const uint8_t padded[2] = {bytes[0], 0};
    uint16_t word;
    memcpy(&word, padded, sizeof word);
    sum += word;
  }
  return sum;
}
