/* Segmentation and checksum completion (see segment.h). */
#include "segment.h"

#include <errno.h>

#include "checksum.h"
#include "transport.h"

/* The sum of a header with the 16-bit fields at the given places taken as zero. */
static uint64_t sum_without(const uint8_t *header, size_t length, const uint8_t *fields,
                            size_t count) {
  uint8_t copy[IPV4_HEADER_MAX];
  memcpy(copy, header, length);
  for (size_t i = 0; i < count; i++) memset(copy + fields[i], 0, 2);
  return checksum_sum(copy, length);
}

static void sum_headers(struct segmenter *s) {
  static const uint8_t outer_fields[] = {IPV4_TOTAL, IPV4_SUM};
  static const uint8_t ip_fields[] = {IPV4_TOTAL, IPV4_IDENT, IPV4_SUM};
  static const uint8_t tcp_fields[] = {TCP_SEQ, TCP_SEQ + 2, TCP_DATA_OFFSET, TCP_SUM};
  static const uint8_t udp_fields[] = {UDP_LENGTH, UDP_SUM};
  const uint8_t *ip = s->packet + s->outer_len;
  const uint8_t *l4 = ip + s->ip_len;
  s->outer_sum = sum_without(s->packet, s->outer_len, outer_fields, s->outer_len ? 2 : 0);
  s->ip_sum = sum_without(ip, s->ip_len, ip_fields, sizeof ip_fields);
  s->l4_sum = checksum_pseudo(ip, ip[IPV4_PROTOCOL], 0);
  s->l4_sum += s->tcp ? sum_without(l4, s->l4_len, tcp_fields, sizeof tcp_fields)
                      : sum_without(l4, s->l4_len, udp_fields, sizeof udp_fields);
}

static bool outer_valid(const uint8_t *packet, size_t length, size_t outer_len) {
  if (outer_len == 0) return true;
  return outer_len >= IPV4_HEADER_MIN && length >= outer_len && packet[0] >> 4 == 4 &&
         (size_t)(packet[0] & 15) * 4 == outer_len;
}

int segmenter_open(struct segmenter *s, const uint8_t *packet, const struct packet *descriptor,
                   size_t outer_len) {
  struct transport t;
  if (!outer_valid(packet, descriptor->length, outer_len)) return -EINVAL;
  const uint8_t *ip = packet + outer_len;
  if (!transport_parse(ip, descriptor->length - outer_len, &t)) return -EINVAL;
  uint8_t type = descriptor->gso_type & (uint8_t)~GSO_ECN;
  if (t.protocol != (type == GSO_TCPV4 ? PROTOCOL_TCP : PROTOCOL_UDP)) return -EINVAL;
  if (type != GSO_TCPV4 && type != GSO_UDP_L4) return -EINVAL;
  if (descriptor->gso_size == 0 || t.payload_len == 0) return -EINVAL;
  s->packet = packet;
  s->outer_len = outer_len;
  s->ip_len = t.ip_len;
  s->l4_len = t.l4_len;
  s->header_len = outer_len + transport_header_len(&t);
  s->payload = packet + s->header_len;
  s->payload_len = t.payload_len;
  s->sent = 0;
  s->tcp = t.protocol == PROTOCOL_TCP;
  s->seq = s->tcp ? load_be32(ip + t.ip_len + TCP_SEQ) : 0;
  s->id = load_be16(ip + IPV4_IDENT);
  s->gso_size = descriptor->gso_size;
  sum_headers(s);
  return 0;
}

/* FIN and PSH belong to the last byte, CWR to the first segment only (RFC 3168 §6.1.2). */
static uint8_t tcp_flags(const struct segmenter *s, uint8_t flags, size_t length) {
  if (s->sent > 0) flags &= (uint8_t)~FLAG_CWR;
  if (s->sent + length < s->payload_len) flags &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
  return flags;
}

static void write_tcp(const struct segmenter *s, uint8_t *tcp, uint64_t sum, size_t length) {
  uint32_t seq = s->seq + (uint32_t)s->sent;
  store_be32(tcp + TCP_SEQ, seq);
  tcp[TCP_FLAGS] = tcp_flags(s, tcp[TCP_FLAGS], length);
  sum += checksum_word((uint16_t)(seq >> 16)) + checksum_word((uint16_t)seq);
  sum += checksum_word(load_be16(tcp + TCP_DATA_OFFSET));
  checksum_store(tcp + TCP_SUM, sum);
}

static void write_udp(uint8_t *udp, uint64_t sum, uint16_t l4_total) {
  store_be16(udp + UDP_LENGTH, l4_total);
  checksum_store_nonzero(udp + UDP_SUM, sum + checksum_word(l4_total));
}

size_t segmenter_next(struct segmenter *s, uint8_t *header, const uint8_t **payload) {
  size_t left = s->payload_len - s->sent;
  if (left == 0) return 0;
  size_t length = left < s->gso_size ? left : s->gso_size;
  uint8_t *ip = header + s->outer_len;
  uint8_t *l4 = ip + s->ip_len;
  uint16_t l4_total = (uint16_t)(s->l4_len + length);
  uint16_t ip_total = (uint16_t)(s->ip_len + l4_total);
  memcpy(header, s->packet, s->header_len);
  if (s->outer_len > 0) {
    uint16_t outer_total = (uint16_t)(s->outer_len + ip_total);
    store_be16(header + IPV4_TOTAL, outer_total);
    checksum_store(header + IPV4_SUM, s->outer_sum + checksum_word(outer_total));
  }
  store_be16(ip + IPV4_TOTAL, ip_total);
  store_be16(ip + IPV4_IDENT, s->id);
  checksum_store(ip + IPV4_SUM, s->ip_sum + checksum_word(ip_total) + checksum_word(s->id));
  *payload = s->payload + s->sent;
  uint64_t sum = s->l4_sum + checksum_word(l4_total) + checksum_sum(*payload, length);
  if (s->tcp) {
    write_tcp(s, l4, sum, length);
  } else {
    write_udp(l4, sum, l4_total);
  }
  s->sent += length;
  s->id++;
  return length;
}

int packet_complete_checksum(uint8_t *packet, struct packet *descriptor) {
  size_t start = descriptor->csum_start;
  size_t field = start + descriptor->csum_offset;
  if (start >= descriptor->length || field + 2 > descriptor->length) return -EINVAL;
  uint64_t sum = checksum_sum(packet + start, descriptor->length - start);
  /* Of UDP only: TCP's 0 is 0 (RFC 1624 §3), although Linux writes 0xffff there too. */
  if (descriptor->csum_offset == UDP_SUM)
    checksum_store_nonzero(packet + field, sum);
  else
    checksum_store(packet + field, sum);
  descriptor->flags &= (uint8_t)~NEEDS_CSUM;
  return 0;
}
