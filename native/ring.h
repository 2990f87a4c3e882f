/*
 * Several reads, or writes, by one entry into the kernel (io_uring(7)): for a TUN, which takes and
 * gives one packet a call, and machines on which a call is dear.
 */
#ifndef UFAN_RING_H
#define UFAN_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Operations that fit. */
enum { RING_ENTRIES = 128 };

struct ring;

/*
 * A ring for one thread. 0, and *ring is the caller's to free; or -errno: EPERM where it is not
 * allowed (kernel.io_uring_disabled, seccomp), ENOSYS, ENOMEM. *syscall then names the call.
 */
int ring_open(struct ring **ring, const char **syscall);

/* Closes it; it is unfit from then on. Idempotent. */
void ring_close(struct ring *ring);

/* Closes it, too. */
void ring_free(struct ring *ring);

/* False for NULL, a closed ring, and one whose kernel refused what it was asked (before Linux 5.11
 * a TUN does). */
bool ring_fit(const struct ring *ring);

/* Adds the readv, or writev, of one packet; `iov` must last until ring_run(). */
void ring_add(struct ring *ring, bool write, int fd, const struct iovec *iov, int count);

/*
 * Does what was added, in that order, and waits for nothing: what can't be done at once gets
 * EAGAIN. results[i]: bytes or -errno; -ENOSYS for what the kernel did not try, and then the ring
 * is unfit.
 */
void ring_run(struct ring *ring, int32_t *results);

/* How many packets the next read of a batch may bring, by what the last ones brought: from 1 on. */
size_t ring_expected(const struct ring *ring);
void ring_expect(struct ring *ring, size_t count);

#endif
