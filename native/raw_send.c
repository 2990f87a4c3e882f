/*
 * sendmmsg of a batch, segmenting on the fly (see raw_socket.h). A queue of messages is filled from
 * descriptors, several messages from one where it is a super-packet, and flushed when full: the
 * kernel gathers header block and payload, nothing is copied here but headers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/uio.h>

#include "raw_socket.h"
#include "segment.h"
#include "send_queue.h"

struct raw_queue {
  struct send_queue base;
  struct sockaddr_in to[SEND_BATCH];
  struct iovec iov[SEND_BATCH][2];
  uint8_t headers[SEND_BATCH][SEGMENT_HEADER_MAX];
};

/* The header block of the next message, flushing first where none is free. */
static uint8_t *queue_header(struct raw_queue *queue) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  return queue->headers[queue->base.count];
}

/* Adds a message: the parts of it are iov[0], and iov[1] where `parts` is 2. */
static struct iovec *queue_push(struct raw_queue *queue, uint32_t owner, size_t parts) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  unsigned at = queue->base.count++;
  queue->base.owner[at] = owner;
  queue->to[at] = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(queue->base.packets[owner].address)};
  queue->base.messages[at].msg_hdr = (struct msghdr){.msg_name = &queue->to[at],
                                                     .msg_namelen = sizeof queue->to[at],
                                                     .msg_iov = queue->iov[at],
                                                     .msg_iovlen = parts};
  return queue->iov[at];
}

static int send_segments(struct raw_queue *queue, uint32_t index, const uint8_t *bytes,
                         size_t outer_len) {
  struct segmenter segmenter;
  const uint8_t *payload;
  int error = segmenter_open(&segmenter, bytes, &queue->base.packets[index], outer_len);
  if (error < 0) return error;
  for (;;) {
    uint8_t *header = queue_header(queue);
    size_t length = segmenter_next(&segmenter, header, &payload);
    if (length == 0) return 0;
    struct iovec *iov = queue_push(queue, index, 2);
    iov[0] = (struct iovec){header, segmenter.header_len};
    iov[1] = (struct iovec){(void *)payload, length};
  }
}

static int send_packet(struct raw_queue *queue, uint32_t index, const struct slab *slab,
                       size_t outer_len) {
  struct packet *packet = &queue->base.packets[index];
  if (!packet_in_slab(packet, slab) || packet->length < outer_len) return -EINVAL;
  uint8_t *bytes = slab->bytes + packet->offset;
  if (packet->gso_type != GSO_NONE) return send_segments(queue, index, bytes, outer_len);
  if ((packet->flags & NEEDS_CSUM) != 0) {
    int error = packet_complete_checksum(bytes, packet);
    if (error < 0) return error;
  }
  *queue_push(queue, index, 1) = (struct iovec){bytes, packet->length};
  return 0;
}

int raw_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
             size_t outer_len) {
  struct raw_queue queue;
  send_queue_init(&queue.base, fd, packets, false);
  for (size_t i = 0; i < count; i++) {
    packets[i].error = 0;
    int error = send_packet(&queue, (uint32_t)i, slab, outer_len);
    if (error < 0) packets[i].error = (uint32_t)-error;
  }
  send_queue_flush(&queue.base);
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
