/*
 * udp_*.c between two sockets on a loopback of its own, and merging behind a link header: a burst
 * arrives as the datagrams that it stands for, and is one burst again for the TAP.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../merge.h"
#include "../receive_slots.h"
#include "../transport.h"
#include "../udp_socket.h"
#include "generate.h"
#include "test.h"

enum { LOOPBACK = 0x7f000001, PORT = 8472, SLOTS = 4, MTU = 1450, TOS = 0x02, LINK = 14 };

static uint8_t sent_memory[1 << 17];
static uint8_t memory[SLOTS * RECEIVE_STRIDE];
static const struct slab sent_slab = {sent_memory, sizeof sent_memory};
static const struct slab slab = {memory, sizeof memory};
static struct packet packets[SLOTS * UDP_BURST];

/* A network namespace of our own; false where we may not have one. */
static bool isolate(void) {
  struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  if (unshare(CLONE_NEWNET) < 0) return false;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0;
  if (fd >= 0) close(fd);
  return done;
}

static int open_at(uint16_t port, uint8_t ttl) {
  const char *syscall;
  const struct udp_options options = {
      .address = LOOPBACK, .port = port, .ttl = ttl, .shared = true};
  return udp_open(&options, &syscall);
}

/* What there is, at most SLOTS bursts of it; the count of datagrams. */
static size_t receive_all(int fd) {
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  if (poll(&readable, 1, 200) <= 0) return 0;
  int count = udp_receive(fd, &slab, packets, sizeof packets / sizeof *packets);
  return count < 0 ? 0 : (size_t)count;
}

/* Sends a super-packet of `payload` bytes behind a tunnel header; its descriptor. */
static struct packet send_burst(const int *fds, uint16_t payload, uint16_t gso_size) {
  struct recipe recipe = tcp_recipe();
  struct packet packet = {0};
  recipe.payload_len = payload;
  memset(sent_memory, 0xab, UDP_TUNNEL);
  store_be16(sent_memory + UDP_TUNNEL - 2, 0x0800);
  size_t length = generate_super(&recipe, gso_size, sent_memory + UDP_TUNNEL, &packet);
  packet.offset = 0;
  packet.length = (uint32_t)(UDP_TUNNEL + length);
  packet.address = LOOPBACK;
  packet.reserved = 3 << 8 | TOS;
  udp_send(fds, 2, PORT, &sent_slab, &packet, 1);
  return packet;
}

static bool burst_arrives(int receiver, const int *fds) {
  const uint16_t payload = 20001;
  const uint16_t gso_size = 1000;
  CHECK(send_burst(fds, payload, gso_size).error == 0);
  size_t count = receive_all(receiver);
  CHECK(count == 21);
  size_t total = 0;
  struct transport t;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = memory + packets[i].offset;
    CHECK(packets[i].address == LOOPBACK && packets[i].reserved == packets[0].reserved);
    CHECK(packets[i].tag == (64 << 8 | TOS) && packets[i].flags == CSUM_UNKNOWN);
    CHECK(memcmp(bytes, sent_memory, UDP_TUNNEL) == 0 && checksums_valid(bytes + UDP_TUNNEL));
    CHECK(transport_parse(bytes + UDP_TUNNEL, packets[i].length - UDP_TUNNEL, &t));
    const uint8_t *payload_at = sent_memory + UDP_TUNNEL + transport_header_len(&t) + total;
    CHECK(memcmp(bytes + UDP_TUNNEL + transport_header_len(&t), payload_at, t.payload_len) == 0);
    total += t.payload_len;
  }
  CHECK(total == payload);
  return true;
}

/* What burst_arrives() has received, without VXLAN, for a TAP. */
static bool burst_is_one_again(void) {
  static struct merge_plan plan;
  struct iovec iov[MERGE_MAX_IOV];
  for (size_t i = 0; i < 21; i++) {
    packets[i].offset += UDP_TUNNEL - LINK;
    packets[i].length -= UDP_TUNNEL - LINK;
  }
  merge_plan_build(&plan, &slab, packets, 21, MTU, MERGE_TCP, LINK);
  CHECK(plan.unit_count == 1 && plan.units[0].segments == 21);
  const struct merge_unit *unit = &plan.units[0];
  CHECK(unit->vnet.gso_size == 1000 && unit->vnet.csum_start == LINK + IPV4_HEADER_MIN);
  CHECK(unit->vnet.hdr_len == LINK + unit->header_len);
  CHECK(memcmp(unit->header, sent_memory + UDP_TUNNEL - LINK, LINK) == 0);
  CHECK(merge_unit_gather(&plan, unit, iov) == 22);
  CHECK(iov[1].iov_base == memory + packets[0].offset + LINK + unit->header_len);
  /* Another MAC is another flow. */
  memory[packets[7].offset] ^= 2;
  merge_plan_build(&plan, &slab, packets, 21, MTU, MERGE_TCP, LINK);
  CHECK(plan.unit_count == 3);
  /* What is no IPv4 is taken for none. */
  for (size_t i = 0; i < 21; i++) store_be16(memory + packets[i].offset + LINK - 2, 0x0806);
  merge_plan_build(&plan, &slab, packets, 21, MTU, MERGE_TCP, LINK);
  CHECK(plan.unit_count == 21 && plan.units[0].vnet.flags == 0);
  /* Nor is what is shorter than its link header. */
  packets[0].length = LINK - 1;
  merge_plan_build(&plan, &slab, packets, 1, MTU, MERGE_TCP, LINK);
  CHECK(plan.unit_count == 0 && packets[0].error == EINVAL);
  return true;
}

static bool faults_are_their_own(int receiver, const int *fds) {
  struct packet three[] = {
      {.offset = 0, .length = UDP_TUNNEL - 1, .address = LOOPBACK},
      {.offset = sizeof sent_memory, .length = 100, .address = LOOPBACK},
      {.offset = 64, .length = 100, .address = LOOPBACK, .reserved = 0xff00},
  };
  CHECK(udp_send(fds, 2, PORT, &sent_slab, three, 3) == 2);
  CHECK(three[0].error == EINVAL && three[1].error == EINVAL && three[2].error == 0);
  CHECK(receive_all(receiver) == 1 && packets[0].length == 100);
  CHECK(send_burst(fds, 4000, 0).error == EINVAL);
  CHECK(receive_all(receiver) == 0);
  CHECK(udp_receive(receiver, &slab, packets, UDP_BURST - 1) == -ENOBUFS);
  CHECK(udp_receive(receiver, &slab, packets, UDP_BURST) == 0);
  return true;
}

static bool test_udp(void) {
  if (!isolate()) {
    puts("  UDP NOT TESTED: it takes a network namespace of its own (root)");
    return true;
  }
  const int receiver = open_at(PORT, 0);
  const int fds[] = {open_at(0, 64), open_at(0, 64)};
  CHECK(receiver >= 0 && fds[0] >= 0 && fds[1] >= 0);
  bool held =
      burst_arrives(receiver, fds) && burst_is_one_again() && faults_are_their_own(receiver, fds);
  close(receiver);
  close(fds[0]);
  close(fds[1]);
  return held;
}

const struct test udp_tests[] = {{"udp: a burst goes over loopback and is one again", test_udp},
                                 {NULL, NULL}};
