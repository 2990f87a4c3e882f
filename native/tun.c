/* TUN: open, read, write (see tun.h). */
#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "merge.h"
#include "transport.h"

/* Since 6.2; older headers lack them. The kernel takes both or none. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

_Static_assert((int)MERGE_CHUNK <= (int)RING_ENTRIES, "a chunk is written by one entry");

enum {
  OFFLOADS_USO = TUN_F_USO4 | TUN_F_USO6,
  OFFLOADS_TSO = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
};

static int retry_ioctl(int fd, unsigned long request, unsigned long argument) {
  int result;
  do {
    result = ioctl(fd, request, argument);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

static int set_offloads(int fd, unsigned wanted, unsigned *accepted) {
  const unsigned tries[] = {wanted, wanted & ~OFFLOADS_USO, wanted & ~(OFFLOADS_USO | OFFLOADS_TSO),
                            0};
  int error = 0;
  for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
    error = retry_ioctl(fd, TUNSETOFFLOAD, tries[i]);
    if (error != -EINVAL) {
      *accepted = tries[i];
      return error;
    }
  }
  return error;
}

static int configure(int fd, const char *name, unsigned offloads, bool multi_queue, bool tap,
                     struct tun *tun, const char **syscall) {
  struct ifreq request = {.ifr_flags = (tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR};
  int header_size = sizeof(struct virtio_net_hdr);
  if (multi_queue) request.ifr_flags |= IFF_MULTI_QUEUE;
  strcpy(request.ifr_name, name);
  *syscall = "TUNSETIFF";
  int error = retry_ioctl(fd, TUNSETIFF, (unsigned long)&request);
  if (error < 0) return error;
  strcpy(tun->name, request.ifr_name);
  *syscall = "TUNSETVNETHDRSZ";
  error = retry_ioctl(fd, TUNSETVNETHDRSZ, (unsigned long)&header_size);
  if (error < 0) return error;
  *syscall = "TUNSETOFFLOAD";
  return set_offloads(fd, offloads, &tun->offloads);
}

int tun_open(const char *name, unsigned offloads, bool multi_queue, bool tap, struct tun *tun,
             const char **syscall) {
  *syscall = "open";
  if (strlen(name) >= IFNAMSIZ) return -ENAMETOOLONG;
  do {
    tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  } while (tun->fd < 0 && errno == EINTR);
  if (tun->fd < 0) return -errno;
  int error = configure(tun->fd, name, offloads, multi_queue, tap, tun, syscall);
  if (error < 0) close(tun->fd);
  return error;
}

int tun_persist(int fd, bool persist) {
  return retry_ioctl(fd, TUNSETPERSIST, persist ? 1 : 0);
}

int tun_detach_queue(int fd) {
  struct ifreq request = {.ifr_flags = IFF_DETACH_QUEUE};
  return retry_ioctl(fd, TUNSETQUEUE, (unsigned long)&request);
}

/*
 * hdr_len of a GSO packet is a hint in virtio and may be anything: the real one comes from the
 * headers, 0 where they are malformed (segmentation then refuses the packet).
 */
static void describe(struct packet *packet, const struct virtio_net_hdr *vnet, const uint8_t *bytes,
                     size_t link) {
  struct transport t;
  packet->flags = vnet->flags & (NEEDS_CSUM | DATA_VALID);
  packet->gso_type = vnet->gso_type;
  packet->gso_size = vnet->gso_size;
  packet->header_len = vnet->hdr_len;
  packet->csum_start = vnet->csum_start;
  packet->csum_offset = vnet->csum_offset;
  packet->reserved = 0;
  packet->address = 0;
  packet->error = 0;
  if (vnet->gso_type == GSO_NONE) return;
  bool known = packet->length > link && transport_parse(bytes + link, packet->length - link, &t);
  packet->header_len = known ? (uint16_t)(link + transport_header_len(&t)) : 0;
}

/* One packet to `bytes`; its length, 0 when nothing waits, or -errno. */
static ssize_t read_packet(int fd, uint8_t *bytes, struct virtio_net_hdr *vnet) {
  struct iovec iov[] = {{vnet, sizeof *vnet}, {bytes, MAX_PACKET}};
  ssize_t length;
  do {
    length = readv(fd, iov, 2);
  } while (length < 0 && errno == EINTR);
  if (length >= 0) return length > (ssize_t)sizeof *vnet ? length - (ssize_t)sizeof *vnet : 0;
  /* EFAULT: the link is down (our memory is good); it may come up again. */
  return errno == EAGAIN || errno == EFAULT ? 0 : -errno;
}

/*
 * All by one entry. As no length is known before, each has a slot that the longest fits in; those
 * that find nothing cost little, but not nothing, so one more is tried than came the last time.
 */
static int read_at_once(int fd, struct ring *ring, const struct slab *slab, struct packet *packets,
                        size_t slots, size_t link) {
  struct virtio_net_hdr vnets[RING_ENTRIES];
  struct iovec iovs[RING_ENTRIES][2];
  int32_t results[RING_ENTRIES];
  size_t wanted = ring_expected(ring) + 1 < slots ? ring_expected(ring) + 1 : slots;
  for (size_t i = 0; i < wanted; i++) {
    iovs[i][0] = (struct iovec){&vnets[i], sizeof vnets[i]};
    iovs[i][1] = (struct iovec){slab->bytes + i * TUN_STRIDE + HEADROOM, MAX_PACKET};
    ring_add(ring, false, fd, iovs[i], 2);
  }
  ring_run(ring, results);
  size_t count = 0;
  for (size_t i = 0; i < wanted; i++) {
    ssize_t length = results[i] - (ssize_t)sizeof *vnets;
    if (length <= 0 || length == MAX_PACKET) continue;
    struct packet *packet = &packets[count++];
    packet->offset = (uint32_t)(i * TUN_STRIDE + HEADROOM);
    packet->length = (uint32_t)length;
    describe(packet, &vnets[i], slab->bytes + packet->offset, link);
  }
  ring_expect(ring, count < wanted ? count : 2 * wanted);
  if (count > 0 || !ring_fit(ring)) return (int)count;
  bool nothing = results[0] >= 0 || results[0] == -EAGAIN || results[0] == -EFAULT;
  return nothing ? 0 : results[0];
}

int tun_read(int fd, struct ring *ring, const struct slab *slab, struct packet *packets,
             size_t capacity, size_t link) {
  size_t slots = slab->size / TUN_STRIDE;
  if (slots > capacity) slots = capacity;
  if (slots > RING_ENTRIES) slots = RING_ENTRIES;
  if (ring_fit(ring) && slots > 1) {
    int read = read_at_once(fd, ring, slab, packets, slots, link);
    if (read != 0 || ring_fit(ring)) return read;
  }
  size_t count = 0;
  size_t offset = HEADROOM;
  while (count < capacity && offset + MAX_PACKET <= slab->size) {
    struct virtio_net_hdr vnet;
    struct packet *packet = &packets[count];
    uint8_t *bytes = slab->bytes + offset;
    ssize_t length = read_packet(fd, bytes, &vnet);
    if (length < 0 && count == 0) return (int)length;
    if (length <= 0) break;
    if (length == MAX_PACKET) continue; /* longer than IPv4 can be, and cut off */
    packet->offset = (uint32_t)offset;
    packet->length = (uint32_t)length;
    describe(packet, &vnet, bytes, link);
    count++;
    offset += ((size_t)length + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE + HEADROOM;
  }
  return (int)count;
}

static size_t iov_length(const struct iovec *iov, int count) {
  size_t length = 0;
  for (int i = 0; i < count; i++) length += iov[i].iov_len;
  return length;
}

/* 0 or a positive errno. A write to a TUN takes the whole packet or none of it. */
static uint32_t write_iov(int fd, const struct iovec *iov, int count) {
  ssize_t written;
  do {
    written = writev(fd, iov, count);
  } while (written < 0 && errno == EINTR);
  if (written < 0) return (uint32_t)errno;
  return (size_t)written == iov_length(iov, count) ? 0 : EIO;
}

/* Merged, each part was found complete; that is still true of it alone. */
static void write_parts(int fd, const struct merge_plan *plan, const struct merge_unit *unit) {
  struct virtio_net_hdr vnet = {.flags = DATA_VALID};
  uint16_t index = unit->first;
  for (int i = 0; i < unit->segments; i++) {
    struct packet *packet = &plan->packets[index];
    const struct iovec iov[] = {{&vnet, sizeof vnet},
                                {plan->slab->bytes + packet->offset, packet->length}};
    packet->error = write_iov(fd, iov, 2);
    index = plan->next[index];
  }
}

static void fail_unit(const struct merge_plan *plan, const struct merge_unit *unit,
                      uint32_t error) {
  uint16_t index = unit->first;
  for (int i = 0; i < unit->segments; i++) {
    plan->packets[index].error = error;
    index = plan->next[index];
  }
}

static void write_unit(int fd, const struct merge_plan *plan, const struct merge_unit *unit) {
  struct iovec iov[MERGE_MAX_IOV];
  int count = merge_unit_gather(plan, unit, iov);
  uint32_t error = write_iov(fd, iov, count);
  if (error == EINVAL && unit->segments > 1) {
    write_parts(fd, plan, unit); /* some kernels refuse super-packets that others take (6.6.44) */
    return;
  }
  if (error != 0) fail_unit(plan, unit, error);
}

/* What did not go as one packet, or was not tried. */
static void settle_unit(int fd, const struct merge_plan *plan, const struct merge_unit *unit,
                        int32_t result, size_t length) {
  if (result >= 0 && (size_t)result == length) return;
  if (result == -ENOSYS || (result == -EINVAL && unit->segments > 1)) {
    write_unit(fd, plan, unit);
    return;
  }
  fail_unit(plan, unit, result < 0 ? (uint32_t)-result : EIO);
}

/* All by one entry. */
static void write_at_once(int fd, struct ring *ring, const struct merge_plan *plan) {
  struct iovec iovs[2 * MERGE_CHUNK];
  size_t lengths[MERGE_CHUNK];
  int32_t results[RING_ENTRIES];
  struct iovec *next = iovs;
  for (size_t i = 0; i < plan->unit_count; i++) {
    int count = merge_unit_gather(plan, &plan->units[i], next);
    lengths[i] = iov_length(next, count);
    ring_add(ring, true, fd, next, count);
    next += count;
  }
  ring_run(ring, results);
  for (size_t i = 0; i < plan->unit_count; i++) {
    settle_unit(fd, plan, &plan->units[i], results[i], lengths[i]);
  }
}

int tun_write(int fd, struct ring *ring, const struct slab *slab, struct packet *packets,
              size_t count, size_t mtu, unsigned merge, size_t link) {
  struct merge_plan plan;
  for (size_t start = 0; start < count; start += MERGE_CHUNK) {
    size_t chunk = count - start < MERGE_CHUNK ? count - start : MERGE_CHUNK;
    merge_plan_build(&plan, slab, packets + start, chunk, mtu, merge, link);
    if (plan.unit_count > 1 && ring_fit(ring)) {
      write_at_once(fd, ring, &plan);
      continue;
    }
    for (size_t i = 0; i < plan.unit_count; i++) write_unit(fd, &plan, &plan.units[i]);
  }
  int failures = 0;
  for (size_t i = 0; i < count; i++) failures += packets[i].error != 0;
  return failures;
}
