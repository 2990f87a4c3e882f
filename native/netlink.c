/* netlink sockets (see netlink.h). */
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(int protocol, uint32_t groups, const char **syscall) {
  struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = groups};
  *syscall = "socket";
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return -errno;
  *syscall = "bind";
  if (bind(fd, (struct sockaddr *)&local, sizeof local) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

int netlink_send(int fd, const uint8_t *bytes, size_t length) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do {
    sent = sendto(fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return -errno;
  return (size_t)sent == length ? 0 : -EIO;
}

int netlink_receive(int fd, uint8_t *bytes, size_t size) {
  ssize_t length;
  do {
    length = recv(fd, bytes, size, MSG_DONTWAIT | MSG_TRUNC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return errno == EAGAIN ? 0 : -errno;
  return (size_t)length > size ? -EMSGSIZE : (int)length;
}
