/*
 * Where the parts of an IPv4 packet with TCP or UDP lie (RFC 791, 9293, 768): what segmentation,
 * merging and checksum resolution all ask first. Everything here is bounded by the packet's length.
 */
#ifndef UFAN_TRANSPORT_H
#define UFAN_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

enum {
  IPV4_HEADER_MIN = 20,
  IPV4_HEADER_MAX = 60,
  TCP_HEADER_MIN = 20,
  TCP_HEADER_MAX = 60,
  UDP_HEADER = 8
};

/* Offsets in an IPv4 header. */
enum {
  IPV4_TOS = 1,
  IPV4_TOTAL = 2,
  IPV4_IDENT = 4,
  IPV4_FRAGMENT = 6,
  IPV4_TTL = 8,
  IPV4_PROTOCOL = 9,
  IPV4_SUM = 10,
  IPV4_SOURCE = 12
};

/* In the IPv4 fragment field, host order. */
enum { FRAGMENT_DF = 0x4000, FRAGMENT_ANY = 0x3fff };

/* Offsets in a TCP and in a UDP header. */
enum {
  TCP_SEQ = 4,
  TCP_ACK = 8,
  TCP_DATA_OFFSET = 12,
  TCP_FLAGS = 13,
  TCP_WINDOW = 14,
  TCP_SUM = 16
};
enum { UDP_LENGTH = 4, UDP_SUM = 6 };

/* TCP flags. */
enum { FLAG_FIN = 0x01, FLAG_PSH = 0x08, FLAG_ACK = 0x10, FLAG_CWR = 0x80 };

struct transport {
  uint8_t protocol;  /* PROTOCOL_TCP or PROTOCOL_UDP */
  uint8_t ip_len;    /* bytes of the IPv4 header, options included */
  uint8_t l4_len;    /* bytes of the TCP or UDP header */
  uint8_t sum_at;    /* of the checksum field, from the TCP or UDP header */
  uint16_t l4_total; /* bytes of TCP or UDP, header and payload */
  uint16_t payload_len;
};

/*
 * Finds TCP or UDP in the IPv4 packet of exactly `length` bytes. False for every other protocol,
 * fragments, and headers that contradict each other or the length; `out` is then undefined.
 */
bool transport_parse(const uint8_t *ip, size_t length, struct transport *out);

static inline size_t transport_header_len(const struct transport *t) {
  return (size_t)t->ip_len + t->l4_len;
}

#endif
