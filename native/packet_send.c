/* sendmmsg of frames with virtio_net_hdr, super-packets whole or cut (see packet_socket.h). */
#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "packet_socket.h"
#include "segment.h"
#include "send_queue.h"

/* Of a segment: two bytes unused, so that the IP header is aligned. */
enum { FRAME_START = 2, FRAME_HEADER_MAX = FRAME_START + ETHERNET_LEN + SEGMENT_HEADER_MAX };

struct frame_queue {
  struct send_queue base;
  bool cut; /* super-packets into segments, rather than by the shim and the kernel */
  struct virtio_net_hdr vnet[SEND_BATCH];
  struct iovec iov[SEND_BATCH][3];
  uint8_t headers[SEND_BATCH][FRAME_HEADER_MAX];
};

/* The place of the next message, flushing first where none is free. */
static unsigned queue_next(struct frame_queue *queue) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  return queue->base.count;
}

static void queue_push(struct frame_queue *queue, uint32_t owner, uint8_t *bytes,
                       const struct virtio_net_hdr *vnet) {
  unsigned at = queue_next(queue);
  queue->base.count++;
  queue->base.owner[at] = owner;
  queue->vnet[at] = *vnet;
  queue->iov[at][0] = (struct iovec){&queue->vnet[at], sizeof *vnet};
  queue->iov[at][1] =
      (struct iovec){bytes - ETHERNET_LEN, queue->base.packets[owner].length + ETHERNET_LEN};
  queue->base.messages[at].msg_hdr = (struct msghdr){.msg_iov = queue->iov[at], .msg_iovlen = 2};
}

static int send_segments(struct frame_queue *queue, uint32_t index, const uint8_t *bytes) {
  struct segmenter segmenter;
  const uint8_t *payload;
  const struct packet *packet = &queue->base.packets[index];
  size_t outer_len = (size_t)(bytes[0] & 15) * 4;
  int error = segmenter_open(&segmenter, bytes, packet, outer_len);
  if (error < 0) return error;
  for (;;) {
    unsigned at = queue_next(queue);
    uint8_t *frame = queue->headers[at] + FRAME_START;
    size_t length = segmenter_next(&segmenter, frame + ETHERNET_LEN, &payload);
    if (length == 0) return 0;
    memcpy(frame, bytes - ETHERNET_LEN, ETHERNET_LEN);
    queue->base.count++;
    queue->base.owner[at] = index;
    queue->vnet[at] = (struct virtio_net_hdr){0};
    queue->iov[at][0] = (struct iovec){&queue->vnet[at], sizeof queue->vnet[at]};
    queue->iov[at][1] = (struct iovec){frame, segmenter.header_len + ETHERNET_LEN};
    queue->iov[at][2] = (struct iovec){(void *)payload, length};
    queue->base.messages[at].msg_hdr = (struct msghdr){.msg_iov = queue->iov[at], .msg_iovlen = 3};
  }
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
  if (packet->gso_type == GSO_NONE) return send_plain(queue, index, bytes);
  return queue->cut ? send_segments(queue, index, bytes) : send_super(queue, index, bytes);
}

int packet_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
                struct packet_send_options options) {
  struct frame_queue queue;
  queue.cut = options.cut;
  send_queue_init(&queue.base, fd, packets, options.patient);
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
