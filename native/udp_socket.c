/* Opens UDP sockets (see udp_socket.h). */
#include "udp_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket_buffer.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static int set_flag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

static int configure(int fd, const struct udp_options *options, const char **syscall) {
  *syscall = "setsockopt";
  /*
   * OMIT: DF stays clear, as the kernel's own VXLAN has it, and nobody's ICMP makes our packets
   * smaller than the device.
   */
  if (set_flag(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT) < 0) return -errno;
  if (set_flag(fd, IPPROTO_IP, IP_RECVTOS, 1) < 0) return -errno;
  if (set_flag(fd, IPPROTO_IP, IP_RECVTTL, 1) < 0) return -errno;
  if (options->ttl != 0 && set_flag(fd, IPPROTO_IP, IP_TTL, options->ttl) < 0) return -errno;
  if (options->shared && set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) return -errno;
  if (socket_send_buffer(fd, options->send_buffer) < 0) return -errno;
  if (socket_receive_buffer(fd, options->receive_buffer) < 0) return -errno;
  /* A kernel before 5.0 has none: each datagram then comes by itself. */
  if (set_flag(fd, IPPROTO_UDP, UDP_GRO, 1) < 0 && errno != ENOPROTOOPT) return -errno;
  *syscall = "SO_BINDTODEVICE";
  if (options->device[0] != '\0' &&
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device, sizeof options->device) < 0) {
    return -errno;
  }
  struct sockaddr_in local = {.sin_family = AF_INET,
                              .sin_port = htons(options->port),
                              .sin_addr.s_addr = htonl(options->address)};
  *syscall = "bind";
  return bind(fd, (struct sockaddr *)&local, sizeof local) < 0 ? -errno : 0;
}

int udp_open(const struct udp_options *options, const char **syscall) {
  *syscall = "socket";
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int error = configure(fd, options, syscall);
  if (error == 0) return fd;
  close(fd);
  return error;
}

int udp_port(int fd) {
  struct sockaddr_in local = {0};
  socklen_t size = sizeof local;
  if (getsockname(fd, (struct sockaddr *)&local, &size) < 0) return -errno;
  return ntohs(local.sin_port);
}
