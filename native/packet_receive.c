/* recvmmsg of frames with virtio_net_hdr into the slots of a slab (see packet_socket.h). */
#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "packet_socket.h"
#include "receive_slots.h"
#include "transport.h"

struct receive_slot {
  struct virtio_net_hdr vnet;
  struct iovec iov[2];
};

/*
 * The kernel's hdr_len is what lies in its linear part; the real one comes from the headers, as far
 * as they can be read.
 */
static uint16_t header_len(const uint8_t *bytes, size_t length) {
  struct transport t;
  size_t outer = length > 0 ? (size_t)(bytes[0] & 15) * 4 : 0;
  if (outer < IPV4_HEADER_MIN || length < outer) return 0;
  bool known = transport_parse(bytes + outer, length - outer, &t);
  return (uint16_t)(outer + (known ? transport_header_len(&t) : 0));
}

static void describe(struct packet *packet, const struct virtio_net_hdr *vnet,
                     const uint8_t *bytes) {
  uint8_t flags = vnet->flags & (NEEDS_CSUM | DATA_VALID);
  if ((flags & NEEDS_CSUM) != 0 && vnet->csum_start < ETHERNET_LEN) flags = 0;
  packet->flags = flags == 0 ? CSUM_UNKNOWN : flags;
  if (vnet->gso_type == GSO_NONE) packet->flags |= NOT_MERGED;
  packet->gso_type = vnet->gso_type;
  packet->gso_size = vnet->gso_size;
  packet->header_len = vnet->gso_type == GSO_NONE ? 0 : header_len(bytes, packet->length);
  packet->csum_start = (flags & NEEDS_CSUM) != 0 ? vnet->csum_start - ETHERNET_LEN : 0;
  packet->csum_offset = (flags & NEEDS_CSUM) != 0 ? vnet->csum_offset : 0;
  packet->reserved = 0;
  packet->address = 0;
  packet->tag = 0;
  packet->error = 0;
}

/*
 * A frame that a virtio_net_hdr cannot describe (EINVAL), as of UFO, is gone by now. ENETDOWN says
 * once that the device went down; it may come up again.
 */
static int receive(int fd, struct mmsghdr *messages, unsigned count, uint32_t *lost) {
  for (;;) {
    int received = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
    if (received >= 0) return received;
    if (errno == EAGAIN || errno == ENETDOWN) return 0;
    if (errno != EINTR && errno != EINVAL) return -errno;
    if (errno == EINVAL) ++*lost;
  }
}

int packet_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity,
                   uint32_t *lost) {
  struct mmsghdr messages[RECEIVE_BATCH];
  struct receive_slot slots[RECEIVE_BATCH];
  const size_t before = sizeof slots->vnet + ETHERNET_LEN;
  if (slab->size < HEADROOM + MAX_PACKET) return -ENOBUFS;
  size_t wanted = receive_slots(slab, capacity);
  for (size_t i = 0; i < wanted; i++) {
    uint8_t *bytes = slab->bytes + i * RECEIVE_STRIDE + HEADROOM;
    slots[i].iov[0] = (struct iovec){&slots[i].vnet, sizeof slots->vnet};
    slots[i].iov[1] = (struct iovec){bytes - ETHERNET_LEN, MAX_PACKET + ETHERNET_LEN};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = slots[i].iov, .msg_iovlen = 2};
  }
  int received = receive(fd, messages, (unsigned)wanted, lost);
  if (received < 0) return received;
  int count = 0;
  for (int i = 0; i < received; i++) {
    if ((messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 || messages[i].msg_len <= before) {
      ++*lost;
      continue;
    }
    struct packet *packet = &packets[count++];
    packet->offset = (uint32_t)((size_t)i * RECEIVE_STRIDE + HEADROOM);
    packet->length = messages[i].msg_len - (uint32_t)before;
    describe(packet, &slots[i].vnet, slab->bytes + packet->offset);
  }
  return count;
}
