/* Opens raw sockets and reads their drop counter (see raw_socket.h). */
#include "raw_socket.h"

#include <errno.h>
#include <linux/icmp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

/* First above the system's limit, which takes CAP_NET_ADMIN, then within it. */
static int set_buffer(int fd, int force_option, int option, int bytes) {
  if (bytes == 0) return 0;
  if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) == 0) return 0;
  return setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

static int set_icmp_filter(int fd, uint32_t types) {
  struct icmp_filter filter = {.data = ~types}; /* the kernel's mask says which to block */
  return setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
}

static int configure(int fd, const struct raw_options *options, const char **syscall) {
  /* PROBE: send what we are told, DF as we wrote it; path MTU is the dataplane's matter. */
  const int discover = IP_PMTUDISC_PROBE;
  *syscall = "setsockopt";
  if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover) < 0) return -errno;
  if (set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options->send_buffer) < 0) return -errno;
  if (set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options->receive_buffer) < 0) return -errno;
  if (options->mark != 0 &&
      setsockopt(fd, SOL_SOCKET, SO_MARK, &options->mark, sizeof options->mark) < 0) {
    return -errno;
  }
  if (options->icmp_types != 0 && set_icmp_filter(fd, options->icmp_types) < 0) return -errno;
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

int raw_drops(int fd, uint32_t *drops) {
  uint32_t values[SK_MEMINFO_VARS];
  socklen_t length = sizeof values;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) < 0) return -errno;
  if (length < (SK_MEMINFO_DROPS + 1) * sizeof *values) return -ENOSYS;
  *drops = values[SK_MEMINFO_DROPS];
  return 0;
}
