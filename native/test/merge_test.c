/* merge.c: segment(merge(packets)) = packets, what must not be merged, and that order is kept
 * inside a flow. */
#include "../merge.h"

#include "../segment.h"
#include "generate.h"
#include "test.h"

enum { PACKETS = 100, SLOT = 2048, MTU = 1480 };

static uint8_t memory[PACKETS * SLOT];
static const struct slab slab = {memory, sizeof memory};
static struct packet packets[PACKETS];
static struct merge_plan plan;

static void put(size_t i, const struct recipe *recipe) {
  packets[i] = (struct packet){.offset = (uint32_t)(i * SLOT), .flags = CSUM_UNKNOWN};
  packets[i].length = (uint32_t)generate(recipe, memory + packets[i].offset);
}

static void build(size_t count) {
  merge_plan_build(&plan, &slab, packets, count, MTU, MERGE_TCP | MERGE_UDP, 0);
}

/* `count` packets of one flow, the next in `recipe` each time. */
static void put_run(struct recipe *recipe, size_t from, size_t count) {
  for (size_t i = from; i < from + count; i++) {
    put(i, recipe);
    recipe->seq += recipe->payload_len;
    recipe->id++;
  }
}

/* The unit's bytes, flat; fills the descriptor that segmentation takes. */
static size_t flatten(const struct merge_unit *unit, uint8_t *out, struct packet *descriptor) {
  struct iovec iov[MERGE_MAX_IOV];
  int count = merge_unit_gather(&plan, unit, iov);
  size_t length = 0;
  memcpy(out, (uint8_t *)iov[0].iov_base + sizeof unit->vnet, iov[0].iov_len - sizeof unit->vnet);
  length += iov[0].iov_len - sizeof unit->vnet;
  for (int i = 1; i < count; i++) {
    memcpy(out + length, iov[i].iov_base, iov[i].iov_len);
    length += iov[i].iov_len;
  }
  *descriptor = (struct packet){.length = (uint32_t)length,
                                .flags = unit->vnet.flags,
                                .gso_type = unit->vnet.gso_type,
                                .gso_size = unit->vnet.gso_size};
  return length;
}

static bool same_packet(const uint8_t *bytes, size_t length, size_t index) {
  CHECK(length == packets[index].length);
  CHECK(memcmp(bytes, memory + packets[index].offset, length) == 0);
  return true;
}

/* Cuts a unit again and compares with the packets it was made from. */
static bool unit_restores(const struct merge_unit *unit) {
  static uint8_t flat[70000];
  static uint8_t segment[SLOT];
  struct packet descriptor;
  struct segmenter s;
  size_t length = flatten(unit, flat, &descriptor);
  CHECK(length <= UINT16_MAX);
  if (unit->segments == 1) return same_packet(flat, length, unit->first);
  size_t l4 = IPV4_HEADER_MIN + (flat[IPV4_PROTOCOL] == PROTOCOL_TCP ? TCP_SUM : UDP_SUM);
  CHECK(load_be16(flat + l4) == slow_pseudo(flat) && slow_checksum(flat, IPV4_HEADER_MIN, 0) == 0);
  CHECK(unit->vnet.csum_start == IPV4_HEADER_MIN &&
        unit->vnet.csum_start + unit->vnet.csum_offset == l4);
  CHECK(segmenter_open(&s, flat, &descriptor, 0) == 0 && s.header_len == unit->vnet.hdr_len);
  uint16_t index = unit->first;
  for (int i = 0; i < unit->segments; i++) {
    const uint8_t *payload;
    size_t payload_len = segmenter_next(&s, segment, &payload);
    memcpy(segment + s.header_len, payload, payload_len);
    CHECK(same_packet(segment, s.header_len + payload_len, index));
    index = plan.next[index];
  }
  CHECK(s.sent == s.payload_len);
  return true;
}

static bool all_restore(size_t count) {
  size_t restored = 0;
  for (size_t i = 0; i < plan.unit_count; i++) {
    CHECK(unit_restores(&plan.units[i]));
    restored += plan.units[i].segments;
  }
  CHECK(restored == count);
  return true;
}

/* Inside a flow (a source port here) packets come out in the order they came in. */
static bool order_kept(void) {
  int32_t latest[65536];
  memset(latest, 0xff, sizeof latest);
  for (size_t i = 0; i < plan.unit_count; i++) {
    uint16_t index = plan.units[i].first;
    for (int j = 0; j < plan.units[i].segments; j++) {
      uint16_t port = load_be16(memory + packets[index].offset + IPV4_HEADER_MIN);
      CHECK(latest[port] < index);
      latest[port] = index;
      index = plan.next[index];
    }
  }
  return true;
}

static bool check_run(struct recipe recipe, size_t count, uint16_t tail, size_t units) {
  put_run(&recipe, 0, count - 1);
  recipe.payload_len = tail;
  put(count - 1, &recipe);
  build(count);
  CHECK(plan.unit_count == units);
  return all_restore(count);
}

static bool test_tails(void) {
  struct recipe recipe = tcp_recipe();
  recipe.seq = 0xffffff00;
  recipe.id = 65533;
  CHECK(check_run(recipe, 10, 1428, 1));
  CHECK(check_run(recipe, 10, 1427, 1));
  CHECK(check_run(recipe, 10, 1, 1));
  CHECK(check_run(recipe, 45, 1428, 1));
  CHECK(check_run(recipe, 46, 1428, 2)); /* 65,535 bytes are full */
  CHECK(check_run(recipe, 46, 1223, 1));
  CHECK(check_run(recipe, 46, 1224, 2));
  recipe.flags |= FLAG_PSH;
  CHECK(check_run(recipe, 4, 1428, 4)); /* each PSH ends its run */
  recipe = udp_recipe();
  CHECK(check_run(recipe, 10, 1000, 1));
  CHECK(check_run(recipe, 10, 999, 1));
  CHECK(check_run(recipe, 10, 1001, 2));
  recipe.payload_len = 10;
  CHECK(check_run(recipe, 64, 10, 1));
  CHECK(check_run(recipe, 65, 10, 2));
  return true;
}

static bool test_last_flags(void) {
  struct recipe recipe = tcp_recipe();
  put_run(&recipe, 0, 3);
  recipe.flags = FLAG_ACK | FLAG_PSH | FLAG_FIN;
  put_run(&recipe, 3, 1);
  build(4);
  CHECK(plan.unit_count == 1);
  return all_restore(4);
}

/* Two packets in sequence of which the second differs by what `change` does. */
static bool kept_apart(void (*change)(struct recipe *)) {
  struct recipe recipe = tcp_recipe();
  recipe.df = false;
  put_run(&recipe, 0, 1);
  change(&recipe);
  put(1, &recipe);
  build(2);
  CHECK(plan.unit_count == 2);
  return all_restore(2);
}

static void change_tos(struct recipe *recipe) {
  recipe->tos = 3;
}
static void change_ttl(struct recipe *recipe) {
  recipe->ttl--;
}
static void change_df(struct recipe *recipe) {
  recipe->df = true;
}
static void change_id(struct recipe *recipe) {
  recipe->id++;
}
static void change_seq(struct recipe *recipe) {
  recipe->seq++;
}
static void change_flags(struct recipe *recipe) {
  recipe->flags |= 0x40;
}
static void change_cwr(struct recipe *recipe) {
  recipe->flags |= FLAG_CWR;
}
static void change_window(struct recipe *recipe) {
  recipe->window++;
}
static void change_options(struct recipe *recipe) {
  recipe->tcp_options = 16;
}
static void change_port(struct recipe *recipe) {
  recipe->source_port++;
}
static void change_longer(struct recipe *recipe) {
  recipe->payload_len = 1429;
  recipe->tcp_options = 12;
}
static void change_empty(struct recipe *recipe) {
  recipe->payload_len = 0;
}

static bool test_differences(void) {
  void (*const changes[])(struct recipe *) = {
      change_tos, change_ttl,    change_df,      change_id,   change_seq,    change_flags,
      change_cwr, change_window, change_options, change_port, change_longer, change_empty};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) CHECK(kept_apart(changes[i]));
  return true;
}

/*
 * A damaged packet is neither merged nor given a checksum, and those around it survive. (But for
 * the one in 65,536 whose checksum happens to be the pseudo-header's sum: nobody can tell it from a
 * partial one.)
 */
static bool test_damaged(void) {
  for (size_t at = 0; at < 1480; at++) {
    struct recipe recipe = tcp_recipe();
    put_run(&recipe, 0, 3);
    uint8_t *damaged = memory + packets[1].offset;
    damaged[at] ^= 0x10;
    if (load_be16(damaged + IPV4_HEADER_MIN + TCP_SUM) == slow_pseudo(damaged)) continue;
    build(3);
    CHECK(plan.unit_count >= 2);
    CHECK(all_restore(3));
    for (size_t i = 0; i < plan.unit_count; i++) {
      if (plan.units[i].first == 1)
        CHECK(plan.units[i].segments == 1 && plan.units[i].vnet.flags != NEEDS_CSUM);
    }
  }
  return true;
}

/* Interleaved flows of TCP and UDP with all that may break a run. */
static bool test_random_streams(void) {
  for (int round = 0; round < 600; round++) {
    struct recipe flows[4] = {tcp_recipe(), tcp_recipe(), udp_recipe(), udp_recipe()};
    for (uint16_t i = 0; i < 4; i++) {
      flows[i].source_port = (uint16_t)(1000 + i);
      flows[i].df = false;
      flows[i].id = (uint16_t)random_below(65536);
      flows[i].seq = random_below(UINT32_MAX);
      flows[i].payload_len = (uint16_t)(1 + random_below(1400));
    }
    size_t count = 1 + random_below(PACKETS);
    for (size_t i = 0; i < count; i++) {
      struct recipe *flow = &flows[random_below(4)];
      struct recipe odd = *flow;
      uint32_t chance = random_below(20);
      if (chance == 0) odd.payload_len = (uint16_t)random_below(odd.payload_len);
      if (chance == 1) odd.flags |= FLAG_PSH;
      if (chance == 2) odd.seq += 5;
      if (chance == 3) odd.payload_len = (uint16_t)(odd.payload_len + 1);
      put(i, &odd);
      flow->seq = odd.seq + odd.payload_len;
      flow->id++;
    }
    build(count);
    CHECK(all_restore(count));
    CHECK(order_kept());
  }
  return true;
}

static bool test_masks(void) {
  struct recipe tcp = tcp_recipe();
  struct recipe udp = udp_recipe();
  put_run(&tcp, 0, 2);
  put_run(&udp, 2, 2);
  merge_plan_build(&plan, &slab, packets, 4, MTU, 0, 0);
  CHECK(plan.unit_count == 4);
  merge_plan_build(&plan, &slab, packets, 4, MTU, MERGE_TCP, 0);
  CHECK(plan.unit_count == 3 && plan.units[0].segments == 2);
  merge_plan_build(&plan, &slab, packets, 4, MTU, MERGE_UDP, 0);
  CHECK(plan.unit_count == 3 && plan.units[2].segments == 2);
  return true;
}

const struct test merge_tests[] = {
    {"merge: tails shorter than and equal to gso_size", test_tails},
    {"merge: PSH and FIN of the last segment", test_last_flags},
    {"merge: what differs stays apart", test_differences},
    {"merge: a damaged packet stays as it is", test_damaged},
    {"merge: segment(merge(x)) = x for random streams, in order", test_random_streams},
    {"merge: only the protocols allowed", test_masks},
    {NULL, NULL},
};
