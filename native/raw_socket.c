/* Opens raw sockets and reads their drop counter (see raw_socket.h). */
#include "raw_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket_buffer.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

static int set_icmp_filter(int fd, uint32_t types) {
  struct icmp_filter filter = {.data = ~types}; /* the kernel's mask says which to block */
  return setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
}

static int configure(int fd, const struct raw_options *options, const char **syscall) {
  /*
   * PROBE: send what we are told, DF as we wrote it; path MTU is the dataplane's matter. INTERFACE:
   * for a socket of protocol 4 the kernel would believe whatever ICMP quotes such a packet, and
   * keep the MTU in its route to the peer, by which the program of io bpf goes.
   */
  const int discover = options->protocol == IPPROTO_RAW ? IP_PMTUDISC_PROBE : IP_PMTUDISC_INTERFACE;
  *syscall = "setsockopt";
  if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover) < 0) return -errno;
  if (socket_send_buffer(fd, options->send_buffer) < 0) return -errno;
  if (socket_receive_buffer(fd, options->receive_buffer) < 0) return -errno;
  if (options->mark != 0 &&
      setsockopt(fd, SOL_SOCKET, SO_MARK, &options->mark, sizeof options->mark) < 0) {
    return -errno;
  }
  if (options->icmp_types != 0 && set_icmp_filter(fd, options->icmp_types) < 0) return -errno;
  const int one = 1;
  if (options->tell_device && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) < 0) {
    return -errno;
  }
  /* A hint alone: without it datagrams that came in fragments may be counted as several. */
  setsockopt(fd, IPPROTO_IP, IP_RECVFRAGSIZE, &one, sizeof one);
  if (options->bind_address == 0) return 0;
  struct sockaddr_in local = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(options->bind_address)};
  *syscall = "bind";
  return bind(fd, (struct sockaddr *)&local, sizeof local) < 0 ? -errno : 0;
}

int raw_open(const struct raw_options *options, const char **syscall) {
  *syscall = "socket";
  int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, options->protocol);
  if (fd < 0) return -errno;
  int error = configure(fd, options, syscall);
  if (error == 0) return fd;
  close(fd);
  return error;
}

int raw_filter(int fd, const uint32_t *words, size_t count) {
  struct sock_filter code[BPF_MAXINSNS];
  if (count > BPF_MAXINSNS) return -E2BIG;
  for (size_t i = 0; i < count; i++) {
    const uint32_t *each = words + i * RAW_FILTER_WORDS;
    code[i] = (struct sock_filter){(uint16_t)each[0], (uint8_t)each[1], (uint8_t)each[2], each[3]};
  }
  struct sock_fprog program = {(unsigned short)count, code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

int raw_drops(int fd, uint32_t *drops) {
  uint32_t values[SK_MEMINFO_VARS];
  socklen_t length = sizeof values;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) < 0) return -errno;
  if (length < (SK_MEMINFO_DROPS + 1) * sizeof *values) return -ENOSYS;
  *drops = values[SK_MEMINFO_DROPS];
  return 0;
}
