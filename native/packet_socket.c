/* Opens packet sockets (see packet_socket.h). */
#include "packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/gso_shim_mark.h"
#include "socket_buffer.h"

/* Since 4.13; in no header before. */
#ifndef PACKET_FANOUT_FLAG_UNIQUEID
#define PACKET_FANOUT_FLAG_UNIQUEID 0x2000
#endif

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

/*
 * Frames for this host (no sniffing along with a promiscuous device), protocol 4 without IP
 * options, to `address`; none of them where not `open`.
 */
static int filter_frames(int fd, uint32_t address, bool open) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETHERNET_LEN),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 5),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETHERNET_LEN + 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPIP, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETHERNET_LEN + 16),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, open ? UINT32_MAX : 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int bind_device(int fd, int ifindex, uint16_t protocol) {
  struct sockaddr_ll local = {
      .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};
  return bind(fd, (struct sockaddr *)&local, sizeof local);
}

/*
 * A group of one as well: fragments reach a group as whole datagrams. The kernel's hash looks
 * through the outer header, so that all packets of an inner flow have one receiver. No rollover to
 * another one where the first is full: it would overtake.
 */
static int join_group(int fd, int group) {
  int flags = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG;
  if (group == 0) flags |= PACKET_FANOUT_FLAG_UNIQUEID;
  return set_option(fd, SOL_PACKET, PACKET_FANOUT, flags << 16 | group);
}

/* Before it has joined, a further member would be given what the group is given. */
static int configure_receiver(int fd, int ifindex, uint32_t address, int buffer, int group,
                              const char **syscall) {
  const bool is_first = group == 0;
  *syscall = "setsockopt";
  if (socket_receive_buffer(fd, buffer) < 0) return -errno;
  if (set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0) return -errno;
  if (filter_frames(fd, address, is_first) < 0) return -errno;
  *syscall = "bind"; /* from here on frames come in: the filter stands */
  if (bind_device(fd, ifindex, ETH_P_IP) < 0) return -errno;
  *syscall = "PACKET_FANOUT";
  if (join_group(fd, group) < 0) return -errno;
  *syscall = "setsockopt";
  return is_first || filter_frames(fd, address, true) == 0 ? 0 : -errno;
}

static int configure_sender(int fd, int ifindex, int buffer, bool shim, const char **syscall) {
  *syscall = "setsockopt";
  if (socket_send_buffer(fd, buffer) < 0) return -errno;
  if (set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0) return -errno;
  if (shim && set_option(fd, SOL_SOCKET, SO_MARK, GSO_SHIM_MARK) < 0) return -errno;
  *syscall = "bind";
  return bind_device(fd, ifindex, 0) < 0 ? -errno : 0;
}

/* With protocol 0 nothing is received before, or without, a bind to another one. */
static int open_socket(const char **syscall) {
  *syscall = "socket";
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

static int opened(int fd, int error) {
  if (error == 0) return fd;
  close(fd);
  return error;
}

int packet_receiver_open(int ifindex, uint32_t address, int buffer, int group,
                         const char **syscall) {
  int fd = open_socket(syscall);
  return fd < 0 ? fd : opened(fd, configure_receiver(fd, ifindex, address, buffer, group, syscall));
}

int packet_receiver_group(int fd) {
  uint32_t value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, &length) < 0) return -errno;
  return (int)(value & UINT16_MAX);
}

int packet_unsent(int fd) {
  int bytes;
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

int packet_sender_open(int ifindex, int buffer, bool shim, const char **syscall) {
  int fd = open_socket(syscall);
  return fd < 0 ? fd : opened(fd, configure_sender(fd, ifindex, buffer, shim, syscall));
}
