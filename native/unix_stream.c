/* A connection to who listens on a socket in the file system (see unix_stream.h). */
#include "unix_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_patiently(int fd, const struct sockaddr_un *to, int patience_ms,
                             const char **syscall) {
  struct timeval patience = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
  *syscall = "setsockopt";
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
    return -errno;
  *syscall = "connect";
  int result;
  do {
    result = connect(fd, (const struct sockaddr *)(const void *)to, sizeof *to);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

int unix_stream_connect(const char *path, int patience_ms, const char **syscall) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  *syscall = "connect";
  if (length == 0 || length >= sizeof to.sun_path) return -ENAMETOOLONG;
  memcpy(to.sun_path, path, length);
  *syscall = "socket";
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int error = connect_patiently(fd, &to, patience_ms, syscall);
  if (error == 0) return fd;
  close(fd);
  return error;
}
