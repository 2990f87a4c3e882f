/*
 * Merging (see merge.h). The flow table is direct-mapped: a slot holds the one unit of its flow
 * that may still grow. Whatever meets an occupied slot without joining the unit closes it; closing
 * costs a merge, never order.
 */
#include "merge.h"

#include <errno.h>

#include "checksum.h"

enum { ETHERTYPE_IPV4 = 0x0800 };

static unsigned flow_slot(const uint8_t *ip, const struct transport *t) {
  uint32_t words[3];
  memcpy(words, ip + IPV4_SOURCE, 8);
  memcpy(words + 2, ip + t->ip_len, 4); /* both ports */
  uint64_t hash = ((uint64_t)words[0] << 32 | words[1]) ^ (uint64_t)words[2] * 0x9e3779b97f4a7c15;
  hash = (hash ^ t->protocol) * 0x9e3779b97f4a7c15;
  return (unsigned)(hash >> 57);
}
_Static_assert(MERGE_FLOWS == 1 << (64 - 57), "the hash's upper bits index the table");

static bool mergeable(const struct merge_plan *plan, const struct packet *packet, const uint8_t *ip,
                      const struct transport *t, const struct virtio_net_hdr *vnet) {
  if (vnet->flags != DATA_VALID || vnet->gso_type != GSO_NONE) return false;
  if (packet->length - plan->link > plan->mtu || t->ip_len != IPV4_HEADER_MIN ||
      t->payload_len == 0)
    return false;
  if (checksum_fold(checksum_sum(ip, IPV4_HEADER_MIN)) != 0xffff) return false;
  if (t->protocol == PROTOCOL_UDP) {
    return (plan->allowed & MERGE_UDP) != 0 && load_be16(ip + t->ip_len + UDP_SUM) != 0;
  }
  uint8_t flags = ip[t->ip_len + TCP_FLAGS] & (uint8_t) ~(FLAG_PSH | FLAG_FIN);
  return (plan->allowed & MERGE_TCP) != 0 && flags == FLAG_ACK &&
         (ip[t->ip_len + TCP_DATA_OFFSET] & 15) == 0;
}

/* Everything of two IPv4 headers that segmentation copies: all but length, ID and checksum. */
static bool same_ip(const uint8_t *a, const uint8_t *b) {
  return a[IPV4_TOS] == b[IPV4_TOS] && memcmp(a + IPV4_FRAGMENT, b + IPV4_FRAGMENT, 2) == 0 &&
         memcmp(a + IPV4_TTL, b + IPV4_TTL, 2) == 0 &&
         memcmp(a + IPV4_SOURCE, b + IPV4_SOURCE, 8) == 0;
}

/* Ports, ack, data offset, window, urgent pointer and options; flags were judged by mergeable(). */
static bool same_tcp(const uint8_t *a, const uint8_t *b, size_t length) {
  return memcmp(a, b, TCP_SEQ) == 0 && memcmp(a + TCP_ACK, b + TCP_ACK, TCP_FLAGS - TCP_ACK) == 0 &&
         memcmp(a + TCP_WINDOW, b + TCP_WINDOW, 2) == 0 && memcmp(a + 18, b + 18, length - 18) == 0;
}

static bool ends_run(const uint8_t *ip, const struct transport *t) {
  return t->protocol == PROTOCOL_TCP && (ip[t->ip_len + TCP_FLAGS] & (FLAG_PSH | FLAG_FIN)) != 0;
}

static bool continues(const struct merge_plan *plan, const struct merge_unit *unit,
                      const uint8_t *ip, const struct transport *t) {
  const uint8_t *link = plan->slab->bytes + plan->packets[unit->first].offset;
  const uint8_t *head = link + plan->link;
  if (memcmp(link, ip - plan->link, plan->link) != 0) return false;
  if (transport_header_len(t) != unit->header_len || t->payload_len > unit->gso_size) return false;
  if (unit->segments == MERGE_MAX_SEGMENTS) return false;
  if (unit->header_len + unit->payload_len + t->payload_len > UINT16_MAX) return false;
  if (!same_ip(head, ip)) return false;
  bool df = (load_be16(ip + IPV4_FRAGMENT) & FRAGMENT_DF) != 0;
  if (!df && load_be16(ip + IPV4_IDENT) != unit->next_id) return false;
  if (t->protocol == PROTOCOL_UDP) return memcmp(head + t->ip_len, ip + t->ip_len, UDP_LENGTH) == 0;
  return load_be32(ip + t->ip_len + TCP_SEQ) == unit->next_seq &&
         same_tcp(head + t->ip_len, ip + t->ip_len, t->l4_len);
}

static void unit_append(struct merge_plan *plan, struct merge_unit *unit, uint16_t index,
                        const struct transport *t) {
  plan->next[unit->last] = index;
  unit->last = index;
  unit->segments++;
  unit->next_id++;
  unit->payload_len += t->payload_len;
  unit->next_seq += t->payload_len;
}

/* Starts a unit with one packet; `t` NULL where it can't be merged. */
static void unit_open(struct merge_plan *plan, uint16_t index, const struct virtio_net_hdr *vnet,
                      const uint8_t *ip, const struct transport *t) {
  struct merge_unit *unit = &plan->units[plan->unit_count++];
  unit->vnet = *vnet;
  unit->first = unit->last = index;
  unit->segments = 1;
  if (t == NULL) return;
  unit->header_len = (uint16_t)transport_header_len(t);
  unit->gso_size = t->payload_len;
  unit->payload_len = t->payload_len;
  unit->next_id = (uint16_t)(load_be16(ip + IPV4_IDENT) + 1);
  unit->next_seq =
      t->protocol == PROTOCOL_TCP ? load_be32(ip + t->ip_len + TCP_SEQ) + t->payload_len : 0;
}

/* As vnet_for() for what stands behind the link header, with places counted from the latter's
 * start. */
static int vnet_behind(const struct merge_plan *plan, const struct packet *packet,
                       const uint8_t *ip, const struct transport *t, struct virtio_net_hdr *vnet) {
  struct packet inner = *packet;
  inner.length -= (uint32_t)plan->link;
  if ((packet->flags & NEEDS_CSUM) != 0) {
    if (packet->csum_start < plan->link) return -EINVAL;
    inner.csum_start -= (uint16_t)plan->link;
  }
  if (packet->gso_type != GSO_NONE) {
    if (packet->header_len < plan->link) return -EINVAL;
    inner.header_len -= (uint16_t)plan->link;
  }
  int error = vnet_for(&inner, ip, t, plan->mtu, vnet);
  if ((vnet->flags & NEEDS_CSUM) != 0) vnet->csum_start += (uint16_t)plan->link;
  if (vnet->gso_type != GSO_NONE) vnet->hdr_len += (uint16_t)plan->link;
  return error;
}

static bool is_ipv4(const struct merge_plan *plan, const uint8_t *ip) {
  return plan->link == 0 || load_be16(ip - 2) == ETHERTYPE_IPV4;
}

static void plan_packet(struct merge_plan *plan, uint16_t index) {
  struct packet *packet = &plan->packets[index];
  if (packet->length < plan->link) {
    packet->error = EINVAL;
    return;
  }
  const uint8_t *ip = plan->slab->bytes + packet->offset + plan->link;
  struct transport t;
  struct virtio_net_hdr vnet;
  bool known = is_ipv4(plan, ip) && transport_parse(ip, packet->length - plan->link, &t);
  if (vnet_behind(plan, packet, ip, known ? &t : NULL, &vnet) < 0) {
    packet->error = EINVAL;
    return;
  }
  if (!known) {
    /* A fragment could belong to any flow. */
    memset(plan->table, 0, sizeof plan->table);
    unit_open(plan, index, &vnet, ip, NULL);
    return;
  }
  uint16_t *slot = &plan->table[flow_slot(ip, &t)];
  if (!mergeable(plan, packet, ip, &t, &vnet)) {
    *slot = 0;
    unit_open(plan, index, &vnet, ip, NULL);
    return;
  }
  struct merge_unit *unit = *slot > 0 ? &plan->units[*slot - 1] : NULL;
  if (unit != NULL && continues(plan, unit, ip, &t)) {
    unit_append(plan, unit, index, &t);
    if (t.payload_len < unit->gso_size || ends_run(ip, &t)) *slot = 0;
    return;
  }
  unit_open(plan, index, &vnet, ip, &t);
  *slot = ends_run(ip, &t) ? 0 : plan->unit_count;
}

/* Makes the headers of a merged packet from those of its first, and of its last for PSH and FIN. */
static void unit_finish(const struct merge_plan *plan, struct merge_unit *unit) {
  const uint8_t *link = plan->slab->bytes + plan->packets[unit->first].offset;
  const uint8_t *head = link + plan->link;
  const uint8_t *tail = plan->slab->bytes + plan->packets[unit->last].offset + plan->link;
  uint16_t total = (uint16_t)(unit->header_len + unit->payload_len);
  uint16_t l4_total = (uint16_t)(total - IPV4_HEADER_MIN);
  uint8_t *ip = unit->header + plan->link;
  uint8_t *l4 = ip + IPV4_HEADER_MIN;
  bool tcp = head[IPV4_PROTOCOL] == PROTOCOL_TCP;
  memcpy(unit->header, link, plan->link + unit->header_len);
  store_be16(ip + IPV4_TOTAL, total);
  memset(ip + IPV4_SUM, 0, 2);
  checksum_store(ip + IPV4_SUM, checksum_sum(ip, IPV4_HEADER_MIN));
  if (tcp) {
    l4[TCP_FLAGS] |= tail[IPV4_HEADER_MIN + TCP_FLAGS];
  } else {
    store_be16(l4 + UDP_LENGTH, l4_total);
  }
  uint16_t pseudo = checksum_fold(checksum_pseudo(ip, head[IPV4_PROTOCOL], l4_total));
  memcpy(l4 + (tcp ? TCP_SUM : UDP_SUM), &pseudo, sizeof pseudo);
  unit->vnet = (struct virtio_net_hdr){
      .flags = NEEDS_CSUM,
      .gso_type = tcp ? GSO_TCPV4 : GSO_UDP_L4,
      .hdr_len = (uint16_t)(plan->link + unit->header_len),
      .gso_size = unit->gso_size,
      .csum_start = (uint16_t)(plan->link + IPV4_HEADER_MIN),
      .csum_offset = tcp ? TCP_SUM : UDP_SUM,
  };
}

void merge_plan_build(struct merge_plan *plan, const struct slab *slab, struct packet *packets,
                      size_t count, size_t mtu, unsigned allowed, size_t link) {
  plan->slab = slab;
  plan->packets = packets;
  plan->mtu = mtu;
  plan->allowed = allowed;
  plan->link = link;
  plan->unit_count = 0;
  memset(plan->table, 0, sizeof plan->table);
  for (size_t i = 0; i < count; i++) {
    packets[i].error = 0;
    if (packet_in_slab(&packets[i], slab)) {
      plan_packet(plan, (uint16_t)i);
    } else {
      packets[i].error = EINVAL;
    }
  }
  for (size_t i = 0; i < plan->unit_count; i++) {
    if (plan->units[i].segments > 1) unit_finish(plan, &plan->units[i]);
  }
}

int merge_unit_gather(const struct merge_plan *plan, const struct merge_unit *unit,
                      struct iovec *iov) {
  bool merged = unit->segments > 1;
  size_t skip = merged ? plan->link + unit->header_len : 0;
  iov[0].iov_base = (void *)&unit->vnet;
  iov[0].iov_len = sizeof unit->vnet + skip;
  uint16_t index = unit->first;
  for (int i = 1; i <= unit->segments; i++) {
    const struct packet *packet = &plan->packets[index];
    iov[i].iov_base = plan->slab->bytes + packet->offset + skip;
    iov[i].iov_len = packet->length - skip;
    index = plan->next[index];
  }
  return 1 + unit->segments;
}
