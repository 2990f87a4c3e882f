/* sendmmsg of a queue (see send_queue.h). */
#include "send_queue.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

/*
 * A full buffer is our own doing and drains as fast as the kernel works. A full queue may be that
 * of a slow link: other fans should not wait for it long.
 */
enum { BUFFER_WAIT_US = 200000, QUEUE_WAIT_US = 4000, PAUSE_US = 50 };

void send_queue_init(struct send_queue *queue, int fd, struct packet *packets, bool patient) {
  queue->fd = fd;
  queue->buffer_wait_us = BUFFER_WAIT_US;
  queue->queue_wait_us = patient ? BUFFER_WAIT_US : QUEUE_WAIT_US;
  queue->packets = packets;
  queue->count = 0;
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool send_queue_wait(struct send_queue *queue, int error) {
  int64_t *left = error == EAGAIN ? &queue->buffer_wait_us : &queue->queue_wait_us;
  if (*left <= 0) return false;
  const int64_t before = now_us();
  if (error == EAGAIN) {
    struct pollfd poll_fd = {.fd = queue->fd, .events = POLLOUT};
    poll(&poll_fd, 1, 1 + (int)(*left / 1000));
  } else { /* nobody tells when there is room */
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000}, NULL);
  }
  *left -= 1 + now_us() - before; /* at least 1: room that is never enough must not spin */
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
    if ((error == EAGAIN || error == ENOBUFS) && send_queue_wait(queue, error)) continue;
    queue->packets[queue->owner[done]].error = (uint32_t)error;
    done++;
  }
  queue->count = 0;
}
