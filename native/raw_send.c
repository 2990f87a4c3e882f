/*
 * sendmmsg of a batch, segmenting on the fly (see raw_socket.h). A queue of messages is filled from
 * descriptors, several messages from one where it is a super-packet, and flushed when full: the
 * kernel gathers header block and payload, nothing is copied here but headers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "raw_socket.h"
#include "segment.h"

enum { SEND_BATCH = 128, WAIT_BUDGET_MS = 4 };

struct send_queue {
  int fd;
  int wait_ms; /* what this call may still wait for room in the socket's buffer */
  struct packet *packets;
  unsigned count;
  struct mmsghdr messages[SEND_BATCH];
  struct sockaddr_in to[SEND_BATCH];
  struct iovec iov[SEND_BATCH][2];
  uint32_t owner[SEND_BATCH]; /* the descriptor a message was made from */
  uint8_t headers[SEND_BATCH][SEGMENT_HEADER_MAX];
};

/* Waits for room; false when the budget is spent. */
static bool wait_for_room(struct send_queue *queue) {
  if (queue->wait_ms <= 0) return false;
  struct pollfd poll_fd = {.fd = queue->fd, .events = POLLOUT};
  struct timespec before;
  struct timespec after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  poll(&poll_fd, 1, queue->wait_ms);
  clock_gettime(CLOCK_MONOTONIC, &after);
  int64_t us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
  queue->wait_ms -= 1 + (int)(us / 1000); /* at least 1: room that is never enough must not spin */
  return true;
}

static void queue_flush(struct send_queue *queue) {
  unsigned done = 0;
  while (done < queue->count) {
    int sent = sendmmsg(queue->fd, queue->messages + done, queue->count - done, MSG_DONTWAIT);
    if (sent > 0) {
      done += (unsigned)sent;
      continue;
    }
    int error = sent == 0 ? EIO : errno;
    if (error == EINTR) continue;
    if ((error == EAGAIN || error == ENOBUFS) && wait_for_room(queue)) continue;
    queue->packets[queue->owner[done]].error = (uint32_t)error;
    done++;
  }
  queue->count = 0;
}

/* The header block of the next message, flushing first where none is free. */
static uint8_t *queue_header(struct send_queue *queue) {
  if (queue->count == SEND_BATCH) queue_flush(queue);
  return queue->headers[queue->count];
}

/* Adds a message: the parts of it are iov[0], and iov[1] where `parts` is 2. */
static struct iovec *queue_push(struct send_queue *queue, uint32_t owner, size_t parts) {
  if (queue->count == SEND_BATCH) queue_flush(queue);
  unsigned at = queue->count++;
  queue->owner[at] = owner;
  queue->to[at] = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(queue->packets[owner].address)};
  queue->messages[at].msg_hdr = (struct msghdr){.msg_name = &queue->to[at],
                                                .msg_namelen = sizeof queue->to[at],
                                                .msg_iov = queue->iov[at],
                                                .msg_iovlen = parts};
  return queue->iov[at];
}

static int send_segments(struct send_queue *queue, uint32_t index, const uint8_t *bytes,
                         size_t outer_len) {
  struct segmenter segmenter;
  const uint8_t *payload;
  int error = segmenter_open(&segmenter, bytes, &queue->packets[index], outer_len);
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

static int send_packet(struct send_queue *queue, uint32_t index, const struct slab *slab,
                       size_t outer_len) {
  struct packet *packet = &queue->packets[index];
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
  struct send_queue queue;
  queue.fd = fd;
  queue.wait_ms = WAIT_BUDGET_MS;
  queue.packets = packets;
  queue.count = 0;
  for (size_t i = 0; i < count; i++) {
    packets[i].error = 0;
    int error = send_packet(&queue, (uint32_t)i, slab, outer_len);
    if (error < 0) packets[i].error = (uint32_t)-error;
  }
  queue_flush(&queue);
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
