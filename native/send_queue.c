/* sendmmsg of a queue (see send_queue.h). */
#include "send_queue.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { WAIT_BUDGET_MS = 4 };

void send_queue_init(struct send_queue *queue, int fd, struct packet *packets) {
  queue->fd = fd;
  queue->wait_ms = WAIT_BUDGET_MS;
  queue->packets = packets;
  queue->count = 0;
}

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

void send_queue_flush(struct send_queue *queue) {
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
