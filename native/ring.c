/* io_uring without its library: a ring of 128 entries is two mappings and one call (see ring.h). */
#include "ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not to wait for a packet, whatever the descriptor's own flags say (linux/fs.h). */
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

struct ring {
  int fd; /* -1: closed */
  bool unfit;
  uint8_t *rings; /* both, in one mapping */
  size_t rings_size;
  struct io_uring_sqe *entries;
  size_t entries_size;
  unsigned *submitted_head;
  unsigned *submitted_tail;
  unsigned submitted_mask;
  unsigned *completed_head;
  unsigned *completed_tail;
  unsigned completed_mask;
  const struct io_uring_cqe *completed;
  unsigned added;
  size_t expected;
};

static void *map(int fd, size_t size, off_t offset) {
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

static int map_rings(struct ring *ring, const struct io_uring_params *params) {
  const struct io_sqring_offsets *sq = &params->sq_off;
  const struct io_cqring_offsets *cq = &params->cq_off;
  size_t submitted = sq->array + params->sq_entries * sizeof(unsigned);
  size_t completed = cq->cqes + params->cq_entries * sizeof(struct io_uring_cqe);
  ring->rings_size = submitted > completed ? submitted : completed;
  ring->entries_size = params->sq_entries * sizeof(struct io_uring_sqe);
  ring->rings = map(ring->fd, ring->rings_size, IORING_OFF_SQ_RING);
  if (ring->rings == MAP_FAILED) return -errno;
  ring->entries = map(ring->fd, ring->entries_size, IORING_OFF_SQES);
  if (ring->entries == MAP_FAILED) return -errno;
  ring->submitted_head = (unsigned *)(void *)(ring->rings + sq->head);
  ring->submitted_tail = (unsigned *)(void *)(ring->rings + sq->tail);
  ring->submitted_mask = params->sq_entries - 1;
  ring->completed_head = (unsigned *)(void *)(ring->rings + cq->head);
  ring->completed_tail = (unsigned *)(void *)(ring->rings + cq->tail);
  ring->completed_mask = params->cq_entries - 1;
  ring->completed = (const struct io_uring_cqe *)(void *)(ring->rings + cq->cqes);
  unsigned *array = (unsigned *)(void *)(ring->rings + sq->array);
  for (unsigned i = 0; i < params->sq_entries; i++) array[i] = i;
  return 0;
}

int ring_open(struct ring **opened, const char **syscall_name) {
  struct io_uring_params params = {0};
  struct ring *ring = calloc(1, sizeof *ring);
  *syscall_name = "calloc";
  if (ring == NULL) return -ENOMEM;
  ring->rings = MAP_FAILED;
  ring->entries = MAP_FAILED;
  ring->expected = 1;
  *syscall_name = "io_uring_setup";
  ring->fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &params);
  int error = ring->fd < 0 ? -errno : 0;
  if (error == 0 && (params.features & IORING_FEAT_SINGLE_MMAP) == 0) error = -ENOSYS;
  if (error == 0) {
    *syscall_name = "mmap";
    error = map_rings(ring, &params);
  }
  if (error < 0) {
    ring_free(ring);
    return error;
  }
  *opened = ring;
  return 0;
}

void ring_close(struct ring *ring) {
  if (ring->rings != MAP_FAILED) munmap(ring->rings, ring->rings_size);
  if (ring->entries != MAP_FAILED) munmap(ring->entries, ring->entries_size);
  if (ring->fd >= 0) close(ring->fd);
  ring->rings = MAP_FAILED;
  ring->entries = MAP_FAILED;
  ring->fd = -1;
}

void ring_free(struct ring *ring) {
  ring_close(ring);
  free(ring);
}

bool ring_fit(const struct ring *ring) {
  return ring != NULL && ring->fd >= 0 && !ring->unfit;
}

void ring_add(struct ring *ring, bool write, int fd, const struct iovec *iov, int count) {
  unsigned at = *ring->submitted_tail + ring->added;
  struct io_uring_sqe *entry = &ring->entries[at & ring->submitted_mask];
  memset(entry, 0, sizeof *entry);
  entry->opcode = write ? IORING_OP_WRITEV : IORING_OP_READV;
  entry->fd = fd;
  entry->addr = (uint64_t)(uintptr_t)iov;
  entry->len = (unsigned)count;
  entry->off = UINT64_MAX; /* the descriptor's own place, as readv and writev have it */
  entry->rw_flags = RWF_NOWAIT;
  entry->user_data = ring->added++;
}

/* Takes the results that are there; how many. */
static unsigned reap(struct ring *ring, int32_t *results) {
  unsigned head = *ring->completed_head;
  const unsigned tail = __atomic_load_n(ring->completed_tail, __ATOMIC_ACQUIRE);
  const unsigned count = tail - head;
  for (; head != tail; head++) {
    const struct io_uring_cqe *done = &ring->completed[head & ring->completed_mask];
    results[done->user_data] = done->res;
    if (done->res == -EOPNOTSUPP) {
      results[done->user_data] = -ENOSYS;
      ring->unfit = true;
    }
  }
  __atomic_store_n(ring->completed_head, head, __ATOMIC_RELEASE);
  return count;
}

void ring_run(struct ring *ring, int32_t *results) {
  const unsigned count = ring->added;
  unsigned done = 0;
  for (unsigned i = 0; i < count; i++) results[i] = -ENOSYS;
  __atomic_store_n(ring->submitted_tail, *ring->submitted_tail + count, __ATOMIC_RELEASE);
  ring->added = 0;
  while (done < count) {
    unsigned waiting =
        *ring->submitted_tail - __atomic_load_n(ring->submitted_head, __ATOMIC_ACQUIRE);
    long entered = syscall(SYS_io_uring_enter, ring->fd, waiting, count - done,
                           IORING_ENTER_GETEVENTS, NULL, 0);
    int error = entered < 0 ? errno : 0;
    done += reap(ring, results);
    if (error == 0 || error == EINTR) continue;
    /* What the kernel has not taken, it never will. */
    ring->unfit = true;
    return;
  }
}

size_t ring_expected(const struct ring *ring) {
  return ring->expected;
}

void ring_expect(struct ring *ring, size_t count) {
  ring->expected = count > 0 ? count : 1;
}
