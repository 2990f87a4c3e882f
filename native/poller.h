/*
 * What a worker sleeps on: an epoll set of its devices, and an eventfd by which another thread
 * wakes it. See epoll(7), eventfd(2).
 */
#ifndef UFAN_POLLER_H
#define UFAN_POLLER_H

#include <stddef.h>
#include <stdint.h>

/*
 * An epoll descriptor or -errno. Sets the timer slack of the calling thread, whose poller it is, to
 * the least: by default the kernel may end a pause 50 us late.
 */
int poller_open(void);

/* Watches `fd` for input, level-triggered. 0 or -errno. */
int poller_add(int poller, int fd, uint32_t token);

/* 0 or -errno. */
int poller_remove(int poller, int fd);

/*
 * Waits at most timeout_ms (-1 = for ever) and fills `ready` with the tokens of descriptors that
 * have input, an error or a hang-up. The count (0 on a signal or at the end of the time) or -errno.
 */
int poller_wait(int poller, int32_t *ready, size_t capacity, int timeout_ms);

/* Sleeps for `us` microseconds, or until a signal. */
void poller_pause(unsigned us);

/* An eventfd, reset, or -errno. */
int event_open(void);

/* Makes the eventfd readable; it is enough to be told once. 0 or -errno. */
int event_signal(int fd);

/* Resets the eventfd. 0, also where it was not signalled, or -errno. */
int event_clear(int fd);

#endif
