/* recvmmsg into the slots of a slab (see raw_socket.h). */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "raw_socket.h"
#include "receive_slots.h"

/* IP_PKTINFO and IP_RECVFRAGSIZE, where they were asked for. */
union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

/*
 * What the kernel says beside a packet: the index of the device that it came in by (0 where nobody
 * asked), and that it was put together from fragments.
 */
static void note_control(struct msghdr *message, struct packet *packet) {
  for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each)) {
    if (each->cmsg_level != IPPROTO_IP) continue;
    if (each->cmsg_type == IP_PKTINFO) {
      const struct in_pktinfo *info = (const void *)CMSG_DATA(each);
      packet->tag = (uint32_t)info->ipi_ifindex;
    }
    if (each->cmsg_type == IP_RECVFRAGSIZE) packet->flags |= NOT_MERGED;
  }
}

int raw_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity) {
  struct mmsghdr messages[RECEIVE_BATCH];
  struct iovec iov[RECEIVE_BATCH];
  union control control[RECEIVE_BATCH];
  if (slab->size < HEADROOM + MAX_PACKET) return -ENOBUFS;
  size_t wanted = receive_slots(slab, capacity);
  for (size_t i = 0; i < wanted; i++) {
    iov[i].iov_base = slab->bytes + i * RECEIVE_STRIDE + HEADROOM;
    iov[i].iov_len = MAX_PACKET;
    messages[i].msg_hdr = (struct msghdr){
        .msg_iov = &iov[i],
        .msg_iovlen = 1,
        .msg_control = control[i].bytes,
        .msg_controllen = sizeof control[i].bytes,
    };
  }
  int received;
  do {
    received = recvmmsg(fd, messages, (unsigned)wanted, MSG_DONTWAIT, NULL);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return errno == EAGAIN ? 0 : -errno;
  int count = 0;
  for (int i = 0; i < received; i++) {
    if ((messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    struct packet *packet = &packets[count++];
    *packet = (struct packet){
        .offset = (uint32_t)((size_t)i * RECEIVE_STRIDE + HEADROOM),
        .length = messages[i].msg_len,
        .flags = CSUM_UNKNOWN,
    };
    note_control(&messages[i].msg_hdr, packet);
  }
  return count;
}
