/* Makes packets for the tests, with slow checksums of their own: the oracle of what native/
 * computes fast. */
#ifndef UFAN_GENERATE_H
#define UFAN_GENERATE_H

#include "../packet.h"

enum { TEST_SOURCE = 0x0afa1c02, TEST_DESTINATION = 0x0afa1b02 };

/* What varies between the packets of a test. */
struct recipe {
  uint8_t protocol;
  uint16_t source_port;
  uint16_t id;
  bool df;
  uint8_t tos;
  uint8_t ttl;
  uint32_t seq;
  uint8_t flags; /* TCP's */
  uint16_t window;
  uint8_t tcp_options; /* bytes, a multiple of 4, up to 40 */
  uint16_t payload_len;
};

/* An ACK of a bulk transfer, DF set. */
struct recipe tcp_recipe(void);
struct recipe udp_recipe(void);

/* Writes the packet, random payload, all checksums complete; returns its length. */
size_t generate(const struct recipe *recipe, uint8_t *out);

/* As a super-packet from the kernel: gso type and size in `descriptor`, checksum only the
 * pseudo-header's sum. */
size_t generate_super(const struct recipe *recipe, uint16_t gso_size, uint8_t *out,
                      struct packet *descriptor);

/* RFC 1071 two bytes at a time: the number to store big-endian. */
uint16_t slow_checksum(const uint8_t *bytes, size_t length, uint32_t initial);

/* Whether the IPv4 header checksum, and the TCP or UDP checksum, are right. */
bool checksums_valid(const uint8_t *ip);

/* The pseudo-header's sum of this packet, folded, host order. */
uint16_t slow_pseudo(const uint8_t *ip);

#endif
