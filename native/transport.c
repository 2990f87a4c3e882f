/* Finds the transport header of an IPv4 packet, trusting nothing (see transport.h). */
#include "transport.h"

#include "packet.h"

static bool parse_tcp(const uint8_t *tcp, struct transport *t) {
  if (t->l4_total < TCP_HEADER_MIN) return false;
  t->l4_len = (uint8_t)((tcp[TCP_DATA_OFFSET] >> 4) * 4);
  t->sum_at = TCP_SUM;
  return t->l4_len >= TCP_HEADER_MIN && t->l4_len <= t->l4_total;
}

static bool parse_udp(const uint8_t *udp, struct transport *t) {
  if (t->l4_total < UDP_HEADER) return false;
  t->l4_len = UDP_HEADER;
  t->sum_at = UDP_SUM;
  return load_be16(udp + UDP_LENGTH) == t->l4_total;
}

bool transport_parse(const uint8_t *ip, size_t length, struct transport *out) {
  if (length < IPV4_HEADER_MIN || length > UINT16_MAX || ip[0] >> 4 != 4) return false;
  size_t ip_len = (size_t)(ip[0] & 15) * 4;
  if (ip_len < IPV4_HEADER_MIN || ip_len > length || load_be16(ip + IPV4_TOTAL) != length)
    return false;
  if ((load_be16(ip + IPV4_FRAGMENT) & FRAGMENT_ANY) != 0) return false;
  out->protocol = ip[IPV4_PROTOCOL];
  out->ip_len = (uint8_t)ip_len;
  out->l4_total = (uint16_t)(length - ip_len);
  bool found = out->protocol == PROTOCOL_TCP   ? parse_tcp(ip + ip_len, out)
               : out->protocol == PROTOCOL_UDP ? parse_udp(ip + ip_len, out)
                                               : false;
  if (found) out->payload_len = (uint16_t)(out->l4_total - out->l4_len);
  return found;
}
