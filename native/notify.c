/* sd_notify(3) without its library (see notify.h). */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_manager(const char *path, const char *text, const char **syscall) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  *syscall = "connect";
  if (length == 0 || length >= sizeof to.sun_path) return -ENAMETOOLONG;
  memcpy(to.sun_path, path, length);
  if (path[0] == '@') to.sun_path[0] = '\0';
  *syscall = "socket";
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  *syscall = "sendto";
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent;
  do {
    sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)(const void *)&to,
                  size);
  } while (sent < 0 && errno == EINTR);
  int error = sent < 0 ? -errno : 0;
  close(fd);
  return error;
}
