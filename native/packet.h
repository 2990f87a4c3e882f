/*
 * The packet descriptor and the slab: the memory that TypeScript and C share.
 *
 * Mirrors src/io/packet-batch.ts word for word; the asserts below hold the two together. All fields
 * are in host byte order. Descriptors come from JavaScript: nothing in them is trusted before
 * packet_in_slab().
 */
#ifndef UFAN_PACKET_H
#define UFAN_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  HEADROOM = 64,      /* free bytes before each packet received */
  MAX_PACKET = 65536, /* the longest IPv4 packet, rounded up */
  CACHE_LINE = 64,
};

/* Flags of a descriptor: those of virtio_net_hdr, and two of ours. */
enum { NEEDS_CSUM = 1, DATA_VALID = 2, NOT_MERGED = 0x40, CSUM_UNKNOWN = 0x80 };

/* gso_type, as in virtio_net_hdr; GSO_ECN may be or'ed to a TCP type. */
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

struct packet {
  uint32_t offset; /* of the first byte in the slab */
  uint32_t length;
  uint8_t flags;
  uint8_t gso_type;
  uint16_t gso_size;
  uint16_t header_len; /* from the packet's first byte, as is csum_start */
  uint16_t csum_start;
  uint16_t csum_offset; /* from csum_start */
  uint16_t reserved;
  uint32_t address; /* tx: IPv4 destination of the outer packet */
  uint32_t tag;     /* the dataplane's */
  uint32_t error;   /* set by a send: 0 or a positive errno */
};

_Static_assert(sizeof(struct packet) == 32, "8 words");
_Static_assert(offsetof(struct packet, length) == 4, "word 1");
_Static_assert(offsetof(struct packet, flags) == 8, "word 2, byte 0");
_Static_assert(offsetof(struct packet, gso_type) == 9, "word 2, byte 1");
_Static_assert(offsetof(struct packet, gso_size) == 10, "word 2, upper half");
_Static_assert(offsetof(struct packet, header_len) == 12, "word 3");
_Static_assert(offsetof(struct packet, csum_start) == 14, "word 3, upper half");
_Static_assert(offsetof(struct packet, csum_offset) == 16, "word 4");
_Static_assert(offsetof(struct packet, address) == 20, "word 5");
_Static_assert(offsetof(struct packet, tag) == 24, "word 6");
_Static_assert(offsetof(struct packet, error) == 28, "word 7");

struct slab {
  uint8_t *bytes;
  size_t size;
};

/* Whether all bytes of the packet lie in the slab, and no more of them than a packet with an outer
 * header has. */
static inline bool packet_in_slab(const struct packet *packet, const struct slab *slab) {
  return packet->length <= MAX_PACKET + HEADROOM && packet->length <= slab->size &&
         packet->offset <= slab->size - packet->length;
}

/* Unaligned access to big-endian fields. */
static inline uint16_t load_be16(const uint8_t *at) {
  return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t load_be32(const uint8_t *at) {
  return (uint32_t)load_be16(at) << 16 | load_be16(at + 2);
}

static inline void store_be16(uint8_t *at, uint16_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static inline void store_be32(uint8_t *at, uint32_t value) {
  store_be16(at, (uint16_t)(value >> 16));
  store_be16(at + 2, (uint16_t)value);
}

#endif
