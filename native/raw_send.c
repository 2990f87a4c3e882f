/*
 * sendmmsg of a batch, segmenting on the fly (see raw_socket.h). A queue of messages is filled from
 * descriptors, several messages from one where it is a super-packet, and flushed when full: the
 * kernel gathers header block and payload, nothing is copied here but headers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>

#include "raw_socket.h"
#include "segment.h"
#include "send_queue.h"
#include "transport.h"

#ifndef IP_PROTOCOL
#define IP_PROTOCOL 52
#endif
#ifndef MSG_PROBE /* of linux/socket.h: "Do not send. Only probe path" */
#define MSG_PROBE 0x10
#endif

/* The control message by which a packet's protocol is named. */
union protocol_note {
  struct cmsghdr header;
  uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct raw_queue {
  struct send_queue base;
  bool names_protocol;
  union protocol_note notes[SEND_BATCH];
  struct sockaddr_in to[SEND_BATCH];
  struct iovec iov[SEND_BATCH][2];
  uint8_t headers[SEND_BATCH][SEGMENT_HEADER_MAX];
};

static void name_protocol(struct msghdr *message, union protocol_note *note, int protocol) {
  note->header = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof protocol), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PROTOCOL};
  memcpy(CMSG_DATA(&note->header), &protocol, sizeof protocol);
  message->msg_control = note;
  message->msg_controllen = sizeof *note;
}

bool raw_can_name_protocol(int fd) {
  struct sockaddr_in self = {.sin_family = AF_INET};
  union protocol_note note;
  struct msghdr message = {.msg_name = &self, .msg_namelen = sizeof self};
  name_protocol(&message, &note, IPPROTO_IPIP);
  /* With these flags the kernel looks at all but the packet. */
  return sendmsg(fd, &message, MSG_CONFIRM | MSG_PROBE | MSG_DONTWAIT) >= 0 || errno != EINVAL;
}

/* The header block of the next message, flushing first where none is free. */
static uint8_t *queue_header(struct raw_queue *queue) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  return queue->headers[queue->base.count];
}

/*
 * Adds a message of the packet that begins at `bytes`: the parts of it are iov[0], and iov[1] where
 * `parts` is 2.
 */
static struct iovec *queue_push(struct raw_queue *queue, uint32_t owner, const uint8_t *bytes,
                                size_t parts) {
  if (queue->base.count == SEND_BATCH) send_queue_flush(&queue->base);
  unsigned at = queue->base.count++;
  queue->base.owner[at] = owner;
  queue->to[at] = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(queue->base.packets[owner].address)};
  queue->base.messages[at].msg_hdr = (struct msghdr){.msg_name = &queue->to[at],
                                                     .msg_namelen = sizeof queue->to[at],
                                                     .msg_iov = queue->iov[at],
                                                     .msg_iovlen = parts};
  if (queue->names_protocol) {
    name_protocol(&queue->base.messages[at].msg_hdr, &queue->notes[at], bytes[IPV4_PROTOCOL]);
  }
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
    struct iovec *iov = queue_push(queue, index, bytes, 2);
    iov[0] = (struct iovec){header, segmenter.header_len};
    iov[1] = (struct iovec){(void *)payload, length};
  }
}

static int send_packet(struct raw_queue *queue, uint32_t index, const struct slab *slab,
                       size_t outer_len) {
  struct packet *packet = &queue->base.packets[index];
  if (!packet_in_slab(packet, slab) || packet->length < outer_len ||
      packet->length < IPV4_HEADER_MIN) {
    return -EINVAL;
  }
  uint8_t *bytes = slab->bytes + packet->offset;
  if (packet->gso_type != GSO_NONE) return send_segments(queue, index, bytes, outer_len);
  if ((packet->flags & NEEDS_CSUM) != 0) {
    int error = packet_complete_checksum(bytes, packet);
    if (error < 0) return error;
  }
  *queue_push(queue, index, bytes, 1) = (struct iovec){bytes, packet->length};
  return 0;
}

int raw_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
             struct raw_send_options options) {
  struct raw_queue queue;
  queue.names_protocol = options.names_protocol;
  send_queue_init(&queue.base, fd, packets, false);
  for (size_t i = 0; i < count; i++) {
    packets[i].error = 0;
    int error = send_packet(&queue, (uint32_t)i, slab, options.outer_len);
    if (error < 0) packets[i].error = (uint32_t)-error;
  }
  send_queue_flush(&queue.base);
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
