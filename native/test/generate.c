/* Packets for the tests (see generate.h). */
#include "generate.h"

#include "../transport.h"
#include "test.h"

struct recipe tcp_recipe(void) {
  return (struct recipe){.protocol = PROTOCOL_TCP,
                         .source_port = 5001,
                         .df = true,
                         .ttl = 63,
                         .seq = 1000,
                         .flags = FLAG_ACK,
                         .window = 500,
                         .tcp_options = 12,
                         .payload_len = 1428};
}

struct recipe udp_recipe(void) {
  return (struct recipe){
      .protocol = PROTOCOL_UDP, .source_port = 5001, .df = true, .ttl = 63, .payload_len = 1000};
}

uint16_t slow_checksum(const uint8_t *bytes, size_t length, uint32_t initial) {
  uint32_t sum = initial;
  for (size_t i = 0; i < length; i++) {
    sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return (uint16_t)~sum;
}

static uint32_t pseudo(const uint8_t *ip) {
  size_t ip_len = (size_t)(ip[0] & 15) * 4;
  uint32_t sum = ip[IPV4_PROTOCOL] + (uint32_t)(load_be16(ip + IPV4_TOTAL) - ip_len);
  for (int i = IPV4_SOURCE; i < IPV4_SOURCE + 8; i += 2) sum += load_be16(ip + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

uint16_t slow_pseudo(const uint8_t *ip) {
  return (uint16_t)pseudo(ip);
}

bool checksums_valid(const uint8_t *ip) {
  size_t ip_len = (size_t)(ip[0] & 15) * 4;
  size_t l4_total = load_be16(ip + IPV4_TOTAL) - ip_len;
  return slow_checksum(ip, ip_len, 0) == 0 && slow_checksum(ip + ip_len, l4_total, pseudo(ip)) == 0;
}

static size_t write_transport(const struct recipe *recipe, uint8_t *l4) {
  bool tcp = recipe->protocol == PROTOCOL_TCP;
  size_t l4_len = tcp ? TCP_HEADER_MIN + recipe->tcp_options : UDP_HEADER;
  memset(l4, 0, l4_len);
  store_be16(l4, recipe->source_port);
  store_be16(l4 + 2, 80);
  if (tcp) {
    store_be32(l4 + TCP_SEQ, recipe->seq);
    store_be32(l4 + TCP_ACK, 77);
    l4[TCP_DATA_OFFSET] = (uint8_t)(l4_len / 4 << 4);
    l4[TCP_FLAGS] = recipe->flags;
    store_be16(l4 + TCP_WINDOW, recipe->window);
    memset(l4 + TCP_HEADER_MIN, 1, recipe->tcp_options);
  } else {
    store_be16(l4 + UDP_LENGTH, (uint16_t)(l4_len + recipe->payload_len));
  }
  for (size_t i = 0; i < recipe->payload_len; i++) l4[l4_len + i] = (uint8_t)random_below(256);
  return l4_len;
}

size_t generate(const struct recipe *recipe, uint8_t *out) {
  size_t l4_len = write_transport(recipe, out + IPV4_HEADER_MIN);
  size_t total = IPV4_HEADER_MIN + l4_len + recipe->payload_len;
  uint8_t *sum_at = out + IPV4_HEADER_MIN + (recipe->protocol == PROTOCOL_TCP ? TCP_SUM : UDP_SUM);
  memset(out, 0, IPV4_HEADER_MIN);
  out[0] = 0x45;
  out[IPV4_TOS] = recipe->tos;
  store_be16(out + IPV4_TOTAL, (uint16_t)total);
  store_be16(out + IPV4_IDENT, recipe->id);
  store_be16(out + IPV4_FRAGMENT, recipe->df ? FRAGMENT_DF : 0);
  out[IPV4_TTL] = recipe->ttl;
  out[IPV4_PROTOCOL] = recipe->protocol;
  store_be32(out + IPV4_SOURCE, TEST_SOURCE);
  store_be32(out + IPV4_SOURCE + 4, TEST_DESTINATION);
  store_be16(out + IPV4_SUM, slow_checksum(out, IPV4_HEADER_MIN, 0));
  uint16_t sum = slow_checksum(out + IPV4_HEADER_MIN, total - IPV4_HEADER_MIN, pseudo(out));
  store_be16(sum_at, sum == 0 && recipe->protocol == PROTOCOL_UDP ? 0xffff : sum);
  return total;
}

size_t generate_super(const struct recipe *recipe, uint16_t gso_size, uint8_t *out,
                      struct packet *descriptor) {
  bool tcp = recipe->protocol == PROTOCOL_TCP;
  size_t length = generate(recipe, out);
  store_be16(out + IPV4_HEADER_MIN + (tcp ? TCP_SUM : UDP_SUM), slow_pseudo(out));
  *descriptor = (struct packet){.length = (uint32_t)length,
                                .flags = NEEDS_CSUM,
                                .gso_type = tcp ? GSO_TCPV4 : GSO_UDP_L4,
                                .gso_size = gso_size,
                                .header_len = (uint16_t)(length - recipe->payload_len),
                                .csum_start = IPV4_HEADER_MIN,
                                .csum_offset = tcp ? TCP_SUM : UDP_SUM};
  return length;
}
