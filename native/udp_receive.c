/* recvmmsg of datagrams and bursts of them (see udp_socket.h). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "receive_slots.h"
#include "udp_socket.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* The control messages that were asked for. */
union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int)) * 3];
};

struct facts {
  uint8_t tos;
  uint8_t ttl;
  size_t segment; /* bytes of each datagram of a burst but the last; 0 for one alone */
};

static int int_of(const struct cmsghdr *message) {
  int value;
  memcpy(&value, CMSG_DATA(message), sizeof value);
  return value;
}

static struct facts facts_of(struct msghdr *message) {
  struct facts facts = {0};
  for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each != NULL;
       each = CMSG_NXTHDR(message, each)) {
    if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_TOS) {
      facts.tos = *CMSG_DATA(each);
    } else if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_TTL) {
      facts.ttl = (uint8_t)int_of(each);
    } else if (each->cmsg_level == IPPROTO_UDP && each->cmsg_type == UDP_GRO) {
      facts.segment = (size_t)int_of(each);
    }
  }
  return facts;
}

/* A descriptor for each datagram of the `length` bytes at `offset`, at most UDP_BURST. */
static size_t describe(struct packet *packets, size_t offset, size_t length,
                       const struct sockaddr_in *from, const struct facts *facts) {
  const size_t step = facts->segment == 0 ? length : facts->segment;
  size_t count = 0;
  for (size_t at = 0; count < UDP_BURST && (at < length || at == 0); at += step) {
    packets[count++] = (struct packet){
        .offset = (uint32_t)(offset + at),
        .length = (uint32_t)(length - at < step ? length - at : step),
        .flags = CSUM_UNKNOWN,
        .reserved = ntohs(from->sin_port),
        .address = ntohl(from->sin_addr.s_addr),
        .tag = (uint32_t)facts->ttl << 8 | facts->tos,
    };
    if (step == 0) break;
  }
  return count;
}

int udp_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity) {
  struct mmsghdr messages[RECEIVE_BATCH];
  struct iovec iov[RECEIVE_BATCH];
  union control control[RECEIVE_BATCH];
  struct sockaddr_in from[RECEIVE_BATCH];
  if (slab->size < HEADROOM + MAX_PACKET || capacity < UDP_BURST) return -ENOBUFS;
  size_t wanted = receive_slots(slab, capacity / UDP_BURST);
  for (size_t i = 0; i < wanted; i++) {
    iov[i] = (struct iovec){slab->bytes + i * RECEIVE_STRIDE + HEADROOM, MAX_PACKET};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &from[i],
        .msg_namelen = sizeof from[i],
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
  size_t count = 0;
  for (int i = 0; i < received; i++) {
    struct msghdr *message = &messages[i].msg_hdr;
    if ((message->msg_flags & MSG_TRUNC) != 0) continue;
    const struct facts facts = facts_of(message);
    const size_t offset = (size_t)i * RECEIVE_STRIDE + HEADROOM;
    count += describe(packets + count, offset, messages[i].msg_len, &from[i], &facts);
  }
  return (int)count;
}
