/* vnet.c: the three answers to an unknown checksum, and the sizes given to what the kernel merged.
 */
#include "../vnet.h"

#include <errno.h>

#include "generate.h"
#include "test.h"

static uint8_t bytes[70000];
static struct virtio_net_hdr vnet;

static int resolve(struct packet packet, size_t mtu) {
  struct transport t;
  bool known = transport_parse(bytes, packet.length, &t);
  return vnet_for(&packet, bytes, known ? &t : NULL, mtu, &vnet);
}

static struct packet unknown(size_t length) {
  return (struct packet){.length = (uint32_t)length, .flags = CSUM_UNKNOWN};
}

/* As the kernel's GRO leaves a super-packet on a raw socket. */
static int resolve_merged(const struct recipe *recipe, size_t mtu) {
  struct packet descriptor;
  return resolve(unknown(generate_super(recipe, 0, bytes, &descriptor)), mtu);
}

static bool test_complete(void) {
  struct recipe recipe = tcp_recipe();
  size_t length = generate(&recipe, bytes);
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == DATA_VALID &&
        vnet.gso_type == GSO_NONE);
  bytes[length - 1] ^= 1;
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == 0);
  return true;
}

static bool test_partial(void) {
  struct packet descriptor;
  struct recipe recipe = udp_recipe();
  size_t length = generate_super(&recipe, 0, bytes, &descriptor);
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == NEEDS_CSUM &&
        vnet.gso_type == GSO_NONE);
  CHECK(vnet.csum_start == 20 && vnet.csum_offset == UDP_SUM);
  return true;
}

static bool test_merged_by_kernel(void) {
  struct recipe recipe = tcp_recipe();
  recipe.payload_len = 20000;
  CHECK(resolve_merged(&recipe, 1480) == 0 && vnet.flags == NEEDS_CSUM);
  CHECK(vnet.gso_type == GSO_TCPV4 && vnet.gso_size == 1428 && vnet.hdr_len == 52);
  recipe.protocol = PROTOCOL_UDP;
  CHECK(resolve_merged(&recipe, 1480) == 0 && vnet.flags == NEEDS_CSUM);
  CHECK(vnet.gso_type == GSO_UDP_L4 && vnet.gso_size == 1452 && vnet.hdr_len == 28);
  return true;
}

/* Below the MTU of a large underlay, but above that of a container: only TCP may be cut. */
static bool test_merged_below_mtu(void) {
  struct recipe recipe = tcp_recipe();
  recipe.payload_len = 7000;
  CHECK(resolve_merged(&recipe, 8981) == 0 && vnet.flags == NEEDS_CSUM);
  CHECK(vnet.gso_type == GSO_TCPV4 && vnet.gso_size == 1428 && vnet.hdr_len == 52);
  recipe.protocol = PROTOCOL_UDP;
  CHECK(resolve_merged(&recipe, 8981) == 0 && vnet.flags == NEEDS_CSUM);
  CHECK(vnet.gso_type == GSO_NONE);
  return true;
}

/* From a host with a larger MTU: long, but complete. */
static bool test_long_and_complete(void) {
  struct recipe recipe = tcp_recipe();
  recipe.payload_len = 8000;
  size_t length = generate(&recipe, bytes);
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == DATA_VALID &&
        vnet.gso_type == GSO_NONE);
  return true;
}

static bool test_no_checksum(void) {
  struct recipe recipe = udp_recipe();
  size_t length = generate(&recipe, bytes);
  store_be16(bytes + 26, 0);
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == 0);
  length = generate(&recipe, bytes);
  store_be16(bytes + IPV4_FRAGMENT, 0x2000);
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == 0);
  length = generate(&recipe, bytes);
  bytes[IPV4_PROTOCOL] = 1;
  CHECK(resolve(unknown(length), 1480) == 0 && vnet.flags == 0);
  return true;
}

static bool test_descriptor(void) {
  struct packet descriptor;
  struct recipe recipe = tcp_recipe();
  recipe.payload_len = 3000;
  generate_super(&recipe, 1428, bytes, &descriptor);
  CHECK(resolve(descriptor, 1480) == 0 && vnet.gso_size == 1428 && vnet.hdr_len == 52);
  descriptor.csum_offset = 60000;
  CHECK(resolve(descriptor, 1480) == -EINVAL);
  descriptor.csum_offset = TCP_SUM;
  descriptor.header_len = 60000;
  CHECK(resolve(descriptor, 1480) == -EINVAL);
  return true;
}

const struct test vnet_tests[] = {
    {"vnet: a complete checksum, and a damaged packet", test_complete},
    {"vnet: a partial checksum", test_partial},
    {"vnet: what the kernel merged gets a segment size", test_merged_by_kernel},
    {"vnet: what was merged below the MTU fits a usual container", test_merged_below_mtu},
    {"vnet: long and complete is no super-packet", test_long_and_complete},
    {"vnet: UDP without checksum, fragments, other protocols", test_no_checksum},
    {"vnet: a descriptor's own values, bounded", test_descriptor},
    {NULL, NULL},
};
