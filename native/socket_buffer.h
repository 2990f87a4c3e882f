/* Buffer sizes of sockets: above the system's limit where we may, which takes CAP_NET_ADMIN. */
#ifndef UFAN_SOCKET_BUFFER_H
#define UFAN_SOCKET_BUFFER_H

#include <sys/socket.h>

static inline int socket_buffer(int fd, int force_option, int option, int bytes) {
  if (bytes == 0) return 0;
  if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) == 0) return 0;
  return setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

/* As setsockopt; 0 bytes leave the system's default. */
static inline int socket_send_buffer(int fd, int bytes) {
  return socket_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
}

static inline int socket_receive_buffer(int fd, int bytes) {
  return socket_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
}

#endif
