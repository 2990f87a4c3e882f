/*
 * A UDP generator and its sink: iperf3's client ends at about 230,000 datagrams a second, fewer
 * than some paths carry.
 *
 *   udp-load sink PORT                                     counts until SIGTERM, then prints
 * {"received": …} udp-load send ADDRESS PORT BYTES RATE MILLISECONDS     prints {"sent": …,
 * "refused": …, "ns": …}
 *
 * The sender keeps to RATE datagrams a second by sleeping until some are due, at most BURST at a
 * time; each is a packet of its own (sendmmsg, no UDP_SEGMENT). What it cannot send in time it
 * doesn't make up for beyond one burst.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BURST = 32,
  LARGEST = 65507,
  SINK_BATCH = 64,
  BUFFER_BYTES = 16 << 20,
  LAG_NS = 1000000,
  NAP_NS = 40000
};

static volatile sig_atomic_t ended;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void on_end(int signal) {
  (void)signal;
  ended = 1;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long number(const char *text, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || value < 1 || value > most) {
    fprintf(stderr, "udp-load: %s is not a number from 1 to %ld\n", text, most);
    exit(1);
  }
  return value;
}

static struct sockaddr_in address_of(const char *text, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number(port, 65535))};
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
    fprintf(stderr, "udp-load: not an address: %s\n", text);
    exit(1);
  }
  return address;
}

static int open_socket(int option) {
  int bytes = BUFFER_BYTES;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
  return fd;
}

static int sink(const char *port) {
  static uint8_t byte[SINK_BATCH];
  struct sockaddr_in address = address_of("0.0.0.0", port);
  struct iovec parts[SINK_BATCH];
  struct mmsghdr messages[SINK_BATCH];
  uint64_t received = 0;
  int fd = open_socket(SO_RCVBUFFORCE);
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  for (int i = 0; i < SINK_BATCH; i++) {
    /* One byte of each is enough to count it. */
    parts[i] = (struct iovec){.iov_base = &byte[i], .iov_len = 1};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
  }
  struct timeval patience = {.tv_usec = 20000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  puts("ready");
  fflush(stdout);
  while (!ended) {
    int count = recvmmsg(fd, messages, SINK_BATCH, MSG_WAITFORONE, NULL);
    if (count > 0)
      received += (uint64_t)count;
    else if (errno != EAGAIN && errno != EINTR)
      die("recvmmsg");
  }
  printf("{\"received\": %" PRIu64 "}\n", received);
  return 0;
}

/* Sends `count` datagrams; returns how many the kernel took. */
static int send_burst(int fd, struct mmsghdr *messages, int count) {
  int done = 0;
  while (done < count) {
    int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), 0);
    if (sent > 0)
      done += sent;
    else if (errno == ENOBUFS || errno == ECONNREFUSED || errno == EAGAIN)
      return done;
    else if (errno != EINTR)
      die("sendmmsg");
  }
  return done;
}

static void sleep_until(uint64_t at) {
  struct timespec when = {.tv_sec = (time_t)(at / 1000000000u),
                          .tv_nsec = (long)(at % 1000000000u)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static int generate(int fd, size_t bytes, double rate, uint64_t duration) {
  static uint8_t payload[LARGEST];
  struct iovec part = {.iov_base = payload, .iov_len = bytes};
  struct mmsghdr messages[BURST];
  uint64_t taken = 0, refused = 0, due = 0;
  uint64_t most_behind = (uint64_t)(rate * LAG_NS / 1e9) + BURST;
  for (int i = 0; i < BURST; i++)
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
  uint64_t start = now_ns(), now = start;
  for (; now - start < duration; now = now_ns()) {
    uint64_t target = (uint64_t)((double)(now - start) * rate / 1e9) + 1;
    if (target <= due) {
      /* A nap a datagram would cost more CPU than the datagram, and the path needs that CPU. */
      uint64_t next = start + (uint64_t)((double)due * 1e9 / rate) + 1;
      sleep_until(next > now + NAP_NS ? next : now + NAP_NS);
      continue;
    }
    if (target - due > most_behind) due = target - most_behind;
    int count = target - due < BURST ? (int)(target - due) : BURST;
    int sent = send_burst(fd, messages, count);
    due += (uint64_t)count;
    taken += (uint64_t)sent;
    refused += (uint64_t)(count - sent);
  }
  printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"ns\": %" PRIu64 "}\n", taken, refused,
         now - start);
  return 0;
}

static int usage(void) {
  fputs("usage: udp-load sink PORT | udp-load send ADDRESS PORT BYTES RATE MILLISECONDS\n", stderr);
  return 1;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "sink") == 0) return sink(argv[2]);
  if (argc != 7 || strcmp(argv[1], "send") != 0) return usage();
  struct sockaddr_in to = address_of(argv[2], argv[3]);
  int fd = open_socket(SO_SNDBUFFORCE);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
  /* The usual 50 µs of slack would be ten datagrams late. */
  prctl(PR_SET_TIMERSLACK, 1);
  return generate(fd, (size_t)number(argv[4], LARGEST), (double)number(argv[5], 100000000),
                  (uint64_t)number(argv[6], 3600000) * 1000000u);
}
