/* segment.c: each segment of a super-packet, field by field; malformed super-packets; partial
 * checksums. */
#include "../segment.h"

#include <errno.h>
#include <stdlib.h>

#include "../transport.h"
#include "generate.h"
#include "test.h"

enum { OUTER = 20 };

static uint8_t super[OUTER + 70000];
static uint8_t segment[2000 + SEGMENT_HEADER_MAX];

static void write_outer(uint8_t *outer) {
  memset(outer, 0, OUTER);
  outer[0] = 0x45;
  store_be16(outer + IPV4_FRAGMENT, FRAGMENT_DF);
  outer[IPV4_TTL] = 64;
  outer[IPV4_PROTOCOL] = 4;
  store_be32(outer + IPV4_SOURCE, 0xac1e001c);
  store_be32(outer + IPV4_SOURCE + 4, 0xac1e001b);
}

/* The next segment, whole, in `segment`; its length, 0 after the last. */
static size_t next(struct segmenter *s) {
  const uint8_t *payload;
  size_t length = segmenter_next(s, segment, &payload);
  if (length == 0) return 0;
  memcpy(segment + s->header_len, payload, length);
  return s->header_len + length;
}

/* Cuts the recipe's super-packet behind an outer header and checks every segment. */
static bool check_cut(const struct recipe *recipe, uint16_t gso_size) {
  struct packet descriptor;
  struct segmenter s;
  bool tcp = recipe->protocol == PROTOCOL_TCP;
  write_outer(super);
  generate_super(recipe, gso_size, super + OUTER, &descriptor);
  descriptor.length += OUTER;
  CHECK(segmenter_open(&s, super, &descriptor, OUTER) == 0);
  size_t done = 0;
  uint16_t id = recipe->id;
  for (size_t length; (length = next(&s)) > 0; id++) {
    const uint8_t *ip = segment + OUTER;
    size_t payload_len = length - s.header_len;
    bool last = done + payload_len == recipe->payload_len;
    CHECK(payload_len == (last ? recipe->payload_len - done : gso_size));
    CHECK(load_be16(segment + IPV4_TOTAL) == length && slow_checksum(segment, OUTER, 0) == 0);
    CHECK(load_be16(ip + IPV4_TOTAL) == length - OUTER && load_be16(ip + IPV4_IDENT) == id);
    CHECK(checksums_valid(ip));
    CHECK(memcmp(segment + s.header_len, super + s.header_len + done, payload_len) == 0);
    if (tcp) {
      uint8_t flags = recipe->flags;
      if (!last) flags &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
      if (done > 0) flags &= (uint8_t)~FLAG_CWR;
      CHECK(load_be32(ip + 20 + TCP_SEQ) == (uint32_t)(recipe->seq + done));
      CHECK(ip[20 + TCP_FLAGS] == flags);
    } else {
      CHECK(load_be16(ip + 20 + UDP_LENGTH) == UDP_HEADER + payload_len);
      CHECK(load_be16(ip + 20 + UDP_SUM) != 0);
    }
    done += payload_len;
  }
  CHECK(done == recipe->payload_len);
  return true;
}

static bool test_tcp_tails(void) {
  struct recipe recipe = tcp_recipe();
  recipe.flags = FLAG_ACK | FLAG_PSH | FLAG_FIN | FLAG_CWR;
  recipe.id = 65534;
  recipe.seq = 0xfffffff0;
  const uint16_t payloads[] = {1, 1427, 1428, 1429, 2855, 2856, 2857, 64260, 65000};
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
    recipe.payload_len = payloads[i];
    CHECK(check_cut(&recipe, 1428));
  }
  return true;
}

static bool test_udp_tails(void) {
  struct recipe recipe = udp_recipe();
  const uint16_t payloads[] = {1, 999, 1000, 1001, 1999, 2000, 2001, 63000};
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
    recipe.payload_len = payloads[i];
    CHECK(check_cut(&recipe, 1000));
  }
  return true;
}

static bool test_random_cuts(void) {
  for (int i = 0; i < 400; i++) {
    struct recipe recipe = random_below(2) ? tcp_recipe() : udp_recipe();
    recipe.id = (uint16_t)random_below(65536);
    recipe.seq = random_below(UINT32_MAX);
    recipe.tcp_options = (uint8_t)(4 * random_below(11));
    recipe.payload_len = (uint16_t)(1 + random_below(20000));
    CHECK(check_cut(&recipe, (uint16_t)(1 + random_below(1500))));
  }
  return true;
}

/* A super-packet with one thing wrong; `spoil` says what. */
static bool refused(void (*spoil)(uint8_t *ip, struct packet *descriptor)) {
  struct packet descriptor;
  struct segmenter s;
  struct recipe recipe = tcp_recipe();
  recipe.payload_len = 3000;
  size_t length = generate_super(&recipe, 1428, super, &descriptor);
  spoil(super, &descriptor);
  uint8_t *exact = malloc(length);
  memcpy(exact, super, length);
  int error = segmenter_open(&s, exact, &descriptor, 0);
  free(exact);
  CHECK(error == -EINVAL);
  return true;
}

static void spoil_version(uint8_t *ip, struct packet *descriptor) {
  (void)descriptor;
  ip[0] = 0x65;
}
static void spoil_ihl(uint8_t *ip, struct packet *descriptor) {
  (void)descriptor;
  ip[0] = 0x44;
}
static void spoil_total(uint8_t *ip, struct packet *descriptor) {
  (void)descriptor;
  store_be16(ip + IPV4_TOTAL, 9000);
}
static void spoil_length(uint8_t *ip, struct packet *descriptor) {
  (void)ip;
  descriptor->length = 19;
}
static void spoil_data_offset(uint8_t *ip, struct packet *descriptor) {
  (void)descriptor;
  ip[20 + TCP_DATA_OFFSET] = 0x40;
}
static void spoil_fragment(uint8_t *ip, struct packet *descriptor) {
  (void)descriptor;
  store_be16(ip + IPV4_FRAGMENT, 0x2000);
}
static void spoil_gso_size(uint8_t *ip, struct packet *descriptor) {
  (void)ip;
  descriptor->gso_size = 0;
}
static void spoil_gso_type(uint8_t *ip, struct packet *descriptor) {
  (void)ip;
  descriptor->gso_type = GSO_UDP_L4;
}
static void spoil_gso_type_unknown(uint8_t *ip, struct packet *descriptor) {
  (void)ip;
  descriptor->gso_type = 4;
}

static bool test_malformed(void) {
  void (*const spoils[])(uint8_t *, struct packet *) = {
      spoil_version,  spoil_ihl,      spoil_total,    spoil_length,          spoil_data_offset,
      spoil_fragment, spoil_gso_size, spoil_gso_type, spoil_gso_type_unknown};
  for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) CHECK(refused(spoils[i]));
  return true;
}

static bool test_partial_checksum(void) {
  struct packet descriptor;
  struct recipe recipe = udp_recipe();
  generate_super(&recipe, 0, super, &descriptor);
  CHECK(packet_complete_checksum(super, &descriptor) == 0);
  CHECK(checksums_valid(super) && descriptor.flags == 0);
  descriptor.csum_start = (uint16_t)descriptor.length;
  CHECK(packet_complete_checksum(super, &descriptor) == -EINVAL);
  descriptor.csum_start = (uint16_t)(descriptor.length - 2);
  descriptor.csum_offset = 1;
  CHECK(packet_complete_checksum(super, &descriptor) == -EINVAL);
  descriptor.csum_offset = 65535;
  CHECK(packet_complete_checksum(super, &descriptor) == -EINVAL);
  return true;
}

/* Completes the checksum of a packet whose payload of 2 bytes makes it come out as 0. */
static uint16_t completed_zero(struct recipe recipe, size_t field, size_t payload) {
  struct packet descriptor;
  recipe.payload_len = 2;
  generate_super(&recipe, 0, super, &descriptor);
  memset(super + payload, 0, 2);
  packet_complete_checksum(super, &descriptor);
  uint16_t wanted = load_be16(super + field); /* this payload brings the sum to 0xffff */
  generate_super(&recipe, 0, super, &descriptor);
  store_be16(super + payload, wanted);
  if (packet_complete_checksum(super, &descriptor) != 0) return 1;
  return load_be16(super + field);
}

/* A UDP checksum that comes out as 0 means "none" and must be sent as 0xffff (RFC 768), no other.
 */
static bool test_zero_checksum(void) {
  CHECK(completed_zero(udp_recipe(), 26, 28) == 0xffff);
  CHECK(completed_zero(tcp_recipe(), 36, 52) == 0);
  return true;
}

const struct test segment_tests[] = {
    {"segment: TCP, tails shorter than and equal to gso_size", test_tcp_tails},
    {"segment: UDP, tails shorter than and equal to gso_size", test_udp_tails},
    {"segment: random super-packets", test_random_cuts},
    {"segment: malformed super-packets are refused", test_malformed},
    {"segment: a partial checksum is completed within bounds", test_partial_checksum},
    {"segment: a checksum of 0 is sent as 0xffff by UDP alone", test_zero_checksum},
    {NULL, NULL},
};
