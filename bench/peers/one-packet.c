/*
 * The simplest userspace fan: a TUN without a vnet header, a raw socket for protocol 4, one poll
 * loop, one packet a system call. What flannel's `udp` back end does, and the yardstick for all
 * that ufan does more.
 *
 *   one-packet tun0 250.0.0.0/8 172.30.0.28/16
 *
 * TUN → underlay: the destination's host by the fan's arithmetic, an outer header by the kernel.
 * underlay → TUN: the outer header is cut off. It checks nothing: it is a yardstick, no firewall.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct network {
  uint32_t address; /* host order, host bits kept */
  unsigned length;
};

struct fan {
  struct network overlay;
  struct network underlay;
  int tun;
  int raw;
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static struct network parse_network(const char *text) {
  char address[INET_ADDRSTRLEN];
  struct network network;
  struct in_addr in;
  if (sscanf(text, "%15[0-9.]/%u", address, &network.length) != 2 || network.length < 1 ||
      network.length > 31 || inet_pton(AF_INET, address, &in) != 1) {
    fprintf(stderr, "one-packet: not a network: %s\n", text);
    exit(1);
  }
  network.address = ntohl(in.s_addr);
  return network;
}

static uint32_t host_bits(unsigned length) {
  return UINT32_MAX >> length;
}

/* The underlay host of an overlay address, host order. */
static uint32_t host_of(const struct fan *fan, uint32_t destination) {
  uint32_t shifted = (destination & host_bits(fan->overlay.length)) >>
                     (fan->underlay.length - fan->overlay.length);
  return (fan->underlay.address & ~host_bits(fan->underlay.length)) | shifted;
}

static int open_tun(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) < 0) die("TUNSETIFF");
  return fd;
}

/* Bound to the underlay address; the kernel writes the outer header. */
static int open_raw(uint32_t local) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(local)};
  int bytes = 8 << 20;
  int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_IPIP);
  if (fd < 0) die("socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  return fd;
}

static void encap(const struct fan *fan, uint8_t *packet, size_t size) {
  ssize_t length = read(fan->tun, packet, size);
  if (length < (ssize_t)sizeof(struct iphdr) || packet[0] >> 4 != 4) return;
  uint32_t destination;
  memcpy(&destination, packet + 16, sizeof destination);
  struct sockaddr_in peer = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(host_of(fan, ntohl(destination)))};
  if (sendto(fan->raw, packet, (size_t)length, 0, (struct sockaddr *)&peer, sizeof peer) < 0 &&
      errno == EINVAL)
    die("sendto");
}

static void decap(const struct fan *fan, uint8_t *packet, size_t size) {
  ssize_t length = recv(fan->raw, packet, size, 0);
  if (length < (ssize_t)sizeof(struct iphdr)) return;
  size_t outer = (size_t)(packet[0] & 15) * 4;
  if (outer < sizeof(struct iphdr) || (size_t)length <= outer) return;
  if (write(fan->tun, packet + outer, (size_t)length - outer) < 0 && errno == EBADF) die("write");
}

int main(int argc, char **argv) {
  static uint8_t packet[65536];
  if (argc != 4) {
    fprintf(stderr, "usage: one-packet DEVICE OVERLAY/LENGTH ADDRESS/LENGTH\n");
    return 1;
  }
  struct fan fan = {.overlay = parse_network(argv[2]), .underlay = parse_network(argv[3])};
  if (fan.underlay.length <= fan.overlay.length) {
    fprintf(stderr, "one-packet: the underlay must be longer than the overlay\n");
    return 1;
  }
  fan.tun = open_tun(argv[1]);
  fan.raw = open_raw(fan.underlay.address);
  puts("ready");
  fflush(stdout);
  struct pollfd ready[2] = {{.fd = fan.tun, .events = POLLIN}, {.fd = fan.raw, .events = POLLIN}};
  for (;;) {
    if (poll(ready, 2, -1) < 0 && errno != EINTR) die("poll");
    if (ready[0].revents) encap(&fan, packet, sizeof packet);
    if (ready[1].revents) decap(&fan, packet, sizeof packet);
  }
}
