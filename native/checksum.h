/*
 * The Internet checksum (RFC 1071), as wide as the machine adds.
 *
 * A "sum" is an unfolded one's complement sum of 16-bit words *in memory order*, so that it needs
 * no byte swaps (RFC 1071 §2 B); sums of parts that start at even distances may be added.
 * checksum_store() writes a result back in memory order, add a field's value to a sum with
 * checksum_word().
 */
#ifndef UFAN_CHECKSUM_H
#define UFAN_CHECKSUM_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The sum of `length` bytes at any alignment; an odd last byte is padded with zero. At most 2^31
 * bytes. */
uint64_t checksum_sum(const uint8_t *bytes, size_t length);

/* Folds a sum to 16 bits, memory order, not inverted. Never 0 for a sum that isn't. */
static inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* What a 16-bit field with this value (host order) adds to a sum. */
static inline uint64_t checksum_word(uint16_t value) {
  return htons(value);
}

/* Stores the inverted sum. */
static inline void checksum_store(uint8_t *at, uint64_t sum) {
  uint16_t field = (uint16_t)~checksum_fold(sum);
  memcpy(at, &field, sizeof field);
}

/* Stores the inverted sum with 0xffff for 0, which UDP reads as "none" (RFC 768). */
static inline void checksum_store_nonzero(uint8_t *at, uint64_t sum) {
  uint16_t field = (uint16_t)~checksum_fold(sum);
  if (field == 0) field = 0xffff;
  memcpy(at, &field, sizeof field);
}

/* The sum of the TCP/UDP pseudo-header of the IPv4 header at `ip` (RFC 9293 §3.1). */
static inline uint64_t checksum_pseudo(const uint8_t *ip, uint8_t protocol, uint16_t l4_total) {
  uint32_t source;
  uint32_t destination;
  memcpy(&source, ip + 12, sizeof source);
  memcpy(&destination, ip + 16, sizeof destination);
  return (uint64_t)source + destination + checksum_word(protocol) + checksum_word(l4_total);
}

#endif
