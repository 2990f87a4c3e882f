/*
 * sendmmsg of a batch as UDP (see udp_socket.h). A super-packet is cut here, its inner headers
 * rebuilt for each segment, but leaves as few messages: the kernel or the NIC puts UDP and IP
 * headers in front of each segment (UDP_SEGMENT), as late as it can. Only headers are copied.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/uio.h>

#include "segment.h"
#include "send_queue.h"
#include "transport.h"
#include "udp_socket.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
  SEGMENTS = 256,    /* header blocks of a queue */
  MOST_BYTES = 65507 /* of a message: an IPv4 packet less its headers */
};

/* IP_TOS and UDP_SEGMENT. */
union notes {
  struct cmsghdr header;
  uint8_t bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
};

struct udp_queue {
  struct send_queue base;
  unsigned segments; /* header blocks in use */
  uint16_t port;
  union notes notes[SEND_BATCH];
  struct sockaddr_in to[SEND_BATCH];
  struct iovec iov[SEGMENTS + SEND_BATCH][2];
  uint8_t headers[SEGMENTS][SEGMENT_HEADER_MAX];
};

static void fail(struct udp_queue *queue, unsigned at, int error) {
  queue->base.packets[queue->base.owner[at]].error = (uint32_t)error;
}

/* One message; 0 or a positive errno. */
static int send_one(struct udp_queue *queue, const struct msghdr *message) {
  for (;;) {
    if (sendmsg(queue->base.fd, message, MSG_DONTWAIT) >= 0) return 0;
    int error = errno;
    if (error == EINTR) continue;
    if ((error == EAGAIN || error == ENOBUFS) && send_queue_wait(&queue->base, error)) continue;
    return error;
  }
}

/* Where the kernel can't cut a burst (no checksum offload, a smaller route): a segment a message.
 */
static void send_apart(struct udp_queue *queue, unsigned at) {
  struct msghdr whole = queue->base.messages[at].msg_hdr;
  for (size_t i = 0; i < whole.msg_iovlen; i += 2) {
    struct msghdr one = whole;
    one.msg_iov += i;
    one.msg_iovlen = 2;
    one.msg_controllen = CMSG_SPACE(sizeof(int)); /* the TOS alone */
    int error = send_one(queue, &one);
    if (error != 0) fail(queue, at, error);
  }
}

static bool is_burst(const struct msghdr *message) {
  return message->msg_controllen == sizeof(union notes);
}

static void flush(struct udp_queue *queue) {
  struct send_queue *base = &queue->base;
  unsigned done = 0;
  while (done < base->count) {
    int sent = sendmmsg(base->fd, base->messages + done, base->count - done, MSG_DONTWAIT);
    if (sent > 0) {
      done += (unsigned)sent;
      continue;
    }
    int error = sent == 0 ? EIO : errno;
    if (error == EINTR) continue;
    if ((error == EAGAIN || error == ENOBUFS) && send_queue_wait(base, error)) continue;
    bool refused = error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP;
    if (refused && is_burst(&base->messages[done].msg_hdr)) {
      send_apart(queue, done);
    } else {
      fail(queue, done, error);
    }
    done++;
  }
  base->count = 0;
  queue->segments = 0;
}

/* The first of the message's notes, then the second; the kernel reads them in any order. */
static void note(struct msghdr *message, union notes *notes, int tos, uint16_t segment) {
  struct cmsghdr *first = &notes->header;
  *first = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof tos), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_TOS};
  memcpy(CMSG_DATA(first), &tos, sizeof tos);
  message->msg_control = notes;
  message->msg_controllen = CMSG_SPACE(sizeof tos);
  if (segment == 0) return;
  struct cmsghdr *second = (struct cmsghdr *)(void *)(notes->bytes + CMSG_SPACE(sizeof tos));
  *second = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof segment), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT};
  memcpy(CMSG_DATA(second), &segment, sizeof segment);
  message->msg_controllen = sizeof *notes;
}

/* Adds a message of `parts` pieces at `iov`; `segment` as UDP_SEGMENT's, 0 for a datagram alone. */
static void push(struct udp_queue *queue, uint32_t owner, struct iovec *iov, size_t parts,
                 uint16_t segment) {
  const struct packet *packet = &queue->base.packets[owner];
  unsigned at = queue->base.count++;
  queue->base.owner[at] = owner;
  queue->to[at] = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_port = htons(queue->port),
                                       .sin_addr.s_addr = htonl(packet->address)};
  struct msghdr *message = &queue->base.messages[at].msg_hdr;
  *message = (struct msghdr){.msg_name = &queue->to[at],
                             .msg_namelen = sizeof queue->to[at],
                             .msg_iov = iov,
                             .msg_iovlen = parts};
  note(message, &queue->notes[at], packet->reserved & 0xff, segment);
}

/* iov[k] and iov[k + SEGMENTS] never meet: bursts take the first part, single packets the second.
 */
static struct iovec *single_iov(struct udp_queue *queue) {
  return queue->iov[SEGMENTS + queue->base.count];
}

static int send_segments(struct udp_queue *queue, uint32_t index, const uint8_t *bytes) {
  struct packet inner = queue->base.packets[index];
  struct segmenter segmenter;
  inner.length -= UDP_TUNNEL;
  int error = segmenter_open(&segmenter, bytes + UDP_TUNNEL, &inner, 0);
  if (error < 0) return error;
  const size_t header_len = UDP_TUNNEL + segmenter.header_len;
  const size_t full = header_len + segmenter.gso_size;
  if (full > MOST_BYTES) return -EINVAL;
  const size_t fitting = MOST_BYTES / full;
  const size_t most = fitting < UDP_BURST ? fitting : UDP_BURST;
  for (bool more = true; more;) {
    if (queue->segments + most > SEGMENTS || queue->base.count == SEND_BATCH) flush(queue);
    struct iovec *iov = queue->iov[queue->segments];
    size_t taken = 0;
    while (taken < most) {
      uint8_t *header = queue->headers[queue->segments];
      const uint8_t *payload;
      size_t length = segmenter_next(&segmenter, header + UDP_TUNNEL, &payload);
      more = length > 0;
      if (!more) break;
      memcpy(header, bytes, UDP_TUNNEL);
      iov[2 * taken] = (struct iovec){header, header_len};
      iov[2 * taken + 1] = (struct iovec){(void *)payload, length};
      queue->segments++;
      taken++;
    }
    if (taken > 0) push(queue, index, iov, 2 * taken, taken > 1 ? (uint16_t)full : 0);
  }
  return 0;
}

static int send_packet(struct udp_queue *queue, uint32_t index, const struct slab *slab) {
  struct packet *packet = &queue->base.packets[index];
  if (!packet_in_slab(packet, slab) || packet->length < UDP_TUNNEL) return -EINVAL;
  uint8_t *bytes = slab->bytes + packet->offset;
  if (packet->gso_type != GSO_NONE) return send_segments(queue, index, bytes);
  if ((packet->flags & NEEDS_CSUM) != 0) {
    int error = packet_complete_checksum(bytes, packet);
    if (error < 0) return error;
  }
  if (queue->base.count == SEND_BATCH) flush(queue);
  struct iovec *iov = single_iov(queue);
  *iov = (struct iovec){bytes, packet->length};
  push(queue, index, iov, 1, 0);
  return 0;
}

int udp_send(const int *fds, size_t fd_count, uint16_t port, const struct slab *slab,
             struct packet *packets, size_t count) {
  struct udp_queue queue;
  if (fd_count == 0) return -EINVAL;
  queue.segments = 0;
  queue.port = port;
  send_queue_init(&queue.base, fds[0], packets, false);
  for (size_t i = 0; i < count; i++) {
    packets[i].error = 0;
    const int fd = fds[(packets[i].reserved >> 8) % fd_count];
    if (fd != queue.base.fd) {
      flush(&queue);
      queue.base.fd = fd;
    }
    int error = send_packet(&queue, (uint32_t)i, slab);
    if (error < 0) packets[i].error = (uint32_t)-error;
  }
  flush(&queue);
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
