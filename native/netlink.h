/*
 * netlink(7) sockets. What the messages mean is TypeScript's matter (src/io/netlink/rtnetlink.ts).
 */
#ifndef UFAN_NETLINK_H
#define UFAN_NETLINK_H

#include <stddef.h>
#include <stdint.h>

/*
 * A socket of a netlink protocol that hears the multicast groups in `groups` (bit n-1 = group n),
 * or none for requests.
 * The descriptor or -errno, then *syscall names the call that failed.
 */
int netlink_open(int protocol, uint32_t groups, const char **syscall);

/* Sends one request to the kernel, whose answer waits when this returns. 0 or -errno. */
int netlink_send(int fd, const uint8_t *bytes, size_t length);

/*
 * The next datagram, one or more messages; never blocks. Its length, 0 when nothing waits, or
 * -errno: -ENOBUFS when messages were lost, -EMSGSIZE for one longer than `size`.
 */
int netlink_receive(int fd, uint8_t *bytes, size_t size);

#endif
