/* sendmmsg of frames with virtio_net_hdr, super-packets whole (see packet_socket.h). */
#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "packet_socket.h"
#include "segment.h"
#include "send_queue.h"

struct frame_queue {
  struct send_queue base;
  struct virtio_net_hdr vnet[SEND_BATCH];
  struct iovec iov[SEND_BATCH][2];
};

static void queue_push(struct frame_queue *queue, uint32_t owner, uint8_t *bytes,
                       const struct virtio_net_hdr *vnet) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  unsigned at = queue->base.count++;
  queue->base.owner[at] = owner;
  queue->vnet[at] = *vnet;
  queue->iov[at][0] = (struct iovec){&queue->vnet[at], sizeof *vnet};
  queue->iov[at][1] =
      (struct iovec){bytes - ETHERNET_LEN, queue->base.packets[owner].length + ETHERNET_LEN};
  queue->base.messages[at].msg_hdr = (struct msghdr){.msg_iov = queue->iov[at], .msg_iovlen = 2};
}

/* hdr_len is what the kernel puts in the linear part: the headers, which the shim then moves. */
static int send_super(struct frame_queue *queue, uint32_t index, uint8_t *bytes) {
  const struct packet *packet = &queue->base.packets[index];
  size_t checksum_end = (size_t)packet->csum_start + packet->csum_offset + 2;
  if ((packet->flags & NEEDS_CSUM) == 0 || checksum_end > packet->header_len ||
      packet->header_len >= packet->length || packet->gso_size == 0) {
    return -EINVAL;
  }
  const struct virtio_net_hdr vnet = {
      .flags = NEEDS_CSUM,
      .gso_type = packet->gso_type,
      .gso_size = packet->gso_size,
      .hdr_len = (uint16_t)(packet->header_len + ETHERNET_LEN),
      .csum_start = (uint16_t)(packet->csum_start + ETHERNET_LEN),
      .csum_offset = packet->csum_offset,
  };
  queue_push(queue, index, bytes, &vnet);
  return 0;
}

/* No NIC need know where a transport checksum behind two IP headers is: it is completed here. */
static int send_plain(struct frame_queue *queue, uint32_t index, uint8_t *bytes) {
  const struct virtio_net_hdr vnet = {0};
  struct packet *packet = &queue->base.packets[index];
  int error = (packet->flags & NEEDS_CSUM) == 0 ? 0 : packet_complete_checksum(bytes, packet);
  if (error == 0) queue_push(queue, index, bytes, &vnet);
  return error;
}

static int send_packet(struct frame_queue *queue, uint32_t index, const struct slab *slab) {
  const struct packet *packet = &queue->base.packets[index];
  if (!packet_in_slab(packet, slab) || packet->offset < ETHERNET_LEN) return -EINVAL;
  uint8_t *bytes = slab->bytes + packet->offset;
  return packet->gso_type == GSO_NONE ? send_plain(queue, index, bytes)
                                      : send_super(queue, index, bytes);
}

int packet_send(int fd, const struct slab *slab, struct packet *packets, size_t count) {
  struct frame_queue queue;
  send_queue_init(&queue.base, fd, packets);
  for (size_t i = 0; i < count; i++) {
    if (packets[i].error != 0) continue;
    int error = send_packet(&queue, (uint32_t)i, slab);
    if (error < 0) packets[i].error = (uint32_t)-error;
  }
  send_queue_flush(&queue.base);
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
