/* epoll and eventfd (see poller.h). */
#include "poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_BATCH = 64 };

int poller_open(void) {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int poller_add(int poller, int fd, uint32_t token) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = token};
  return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int poller_remove(int poller, int fd) {
  return epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

int poller_wait(int poller, int32_t *ready, size_t capacity, int timeout_ms) {
  struct epoll_event events[WAIT_BATCH];
  int limit = capacity < WAIT_BATCH ? (int)capacity : WAIT_BATCH;
  int count = epoll_wait(poller, events, limit, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) ready[i] = (int32_t)events[i].data.u32;
  return count;
}

void poller_pause(unsigned us) {
  const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};
  nanosleep(&pause, NULL);
}

int event_open(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int event_signal(int fd) {
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(fd, &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  return written < 0 && errno != EAGAIN ? -errno : 0; /* EAGAIN: signalled 2^64 times already */
}

int event_clear(int fd) {
  uint64_t value;
  ssize_t length;
  do {
    length = read(fd, &value, sizeof value);
  } while (length < 0 && errno == EINTR);
  return length < 0 && errno != EAGAIN ? -errno : 0;
}
