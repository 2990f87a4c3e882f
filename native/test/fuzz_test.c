/* Anything at all through segmentation and merging: the sanitizers watch that no byte outside the
 * slab is met. */
#include <stdlib.h>

#include "../merge.h"
#include "../segment.h"
#include "generate.h"
#include "test.h"

enum { SLAB = 4096, PACKETS = 16, ROUNDS = 30000 };

static void random_bytes(uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)random_below(256);
}

/* Half of the descriptors lie in the slab, with the other fields at random. */
static struct packet random_descriptor(void) {
  struct packet packet;
  random_bytes((uint8_t *)&packet, sizeof packet);
  if (random_below(2)) {
    packet.length = random_below(SLAB + 1);
    packet.offset = random_below(SLAB - packet.length + 1);
  }
  const uint8_t types[] = {GSO_NONE, GSO_TCPV4, GSO_UDP_L4, GSO_TCPV4 | GSO_ECN};
  const uint8_t flags[] = {0, NEEDS_CSUM, DATA_VALID, CSUM_UNKNOWN, CSUM_UNKNOWN};
  if (random_below(4)) packet.gso_type = types[random_below(4)];
  if (random_below(4)) packet.flags = flags[random_below(5)];
  return packet;
}

/* A good packet with a few bytes changed gets further into the code than noise does. */
static void almost_good(uint8_t *slab, struct packet *packet) {
  struct recipe recipe = random_below(2) ? tcp_recipe() : udp_recipe();
  recipe.payload_len = (uint16_t)random_below(1200);
  packet->length = (uint32_t)generate(&recipe, slab);
  packet->offset = 0;
  for (uint32_t i = random_below(4); i > 0; i--)
    slab[random_below(60)] = (uint8_t)random_below(256);
  if (random_below(3) == 0) packet->length = random_below(packet->length + 1);
  if (random_below(2)) {
    memmove(slab + SLAB - packet->length, slab,
            packet->length); /* up against the end of the slab */
    packet->offset = SLAB - packet->length;
  }
}

static bool cut(uint8_t *bytes, struct packet *packet) {
  uint8_t header[SEGMENT_HEADER_MAX];
  struct segmenter s;
  const uint8_t *payload;
  const size_t outer_lens[] = {0, 20, 24, 60};
  size_t outer_len = outer_lens[random_below(4)];
  if (packet->length < outer_len) return true;
  if (segmenter_open(&s, bytes, packet, outer_len) == 0) {
    size_t left = packet->length - s.header_len;
    for (size_t length; (length = segmenter_next(&s, header, &payload)) > 0; left -= length) {
      CHECK(length <= left && payload + left == bytes + packet->length);
    }
  }
  packet_complete_checksum(bytes, packet);
  return true;
}

static bool test_segment(void) {
  uint8_t *slab = malloc(SLAB);
  const struct slab bounds = {slab, SLAB};
  bool held = true;
  random_bytes(slab, SLAB);
  for (int round = 0; round < ROUNDS && held; round++) {
    struct packet packet = random_descriptor();
    if (random_below(2)) almost_good(slab, &packet);
    if (packet_in_slab(&packet, &bounds)) held = cut(slab + packet.offset, &packet);
  }
  free(slab);
  return held;
}

static bool gather_within(const struct merge_plan *plan) {
  struct iovec iov[MERGE_MAX_IOV];
  for (size_t i = 0; i < plan->unit_count; i++) {
    int count = merge_unit_gather(plan, &plan->units[i], iov);
    CHECK(count >= 2 && count <= MERGE_MAX_IOV);
    for (int j = 1; j < count; j++) {
      const uint8_t *at = iov[j].iov_base;
      CHECK(at >= plan->slab->bytes && at + iov[j].iov_len <= plan->slab->bytes + plan->slab->size);
    }
  }
  return true;
}

static bool test_merge(void) {
  static struct merge_plan plan;
  uint8_t *slab = malloc(SLAB);
  const struct slab bounds = {slab, SLAB};
  bool held = true;
  for (int round = 0; round < ROUNDS / 4 && held; round++) {
    struct packet packets[PACKETS];
    if (round % 16 == 0) random_bytes(slab, SLAB);
    for (int i = 0; i < PACKETS; i++) packets[i] = random_descriptor();
    almost_good(slab, &packets[random_below(PACKETS)]);
    size_t mtu = 68 + random_below(65468);
    merge_plan_build(&plan, &bounds, packets, PACKETS, mtu, random_below(4), 0);
    held = gather_within(&plan);
  }
  free(slab);
  return held;
}

const struct test fuzz_tests[] = {
    {"fuzz: segmentation and checksum completion", test_segment},
    {"fuzz: merging", test_merge},
    {NULL, NULL},
};
