/*
 * Short TCP connections as fast as a path takes them: set up, a byte each way, reset.
 *
 *   connect-load serve PORT                          answers until it is ended
 *   connect-load call ADDRESS PORT MILLISECONDS      prints {"connections": …, "failed": …, "ns":
 * …}
 *
 * CALLERS processes call at once, each one connection after the other. The caller resets the
 * connection, so that no TIME_WAIT is left to fill its ports.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 8, SERVERS = 8, BACKLOG = 1024, PATIENCE_S = 2 };

struct tally {
  uint64_t connections;
  uint64_t failed;
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in address_of(const char *text, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (address.sin_port == 0 || inet_pton(AF_INET, text, &address.sin_addr) != 1) {
    fprintf(stderr, "connect-load: not an address and a port: %s %s\n", text, port);
    exit(1);
  }
  return address;
}

static int open_socket(void) {
  struct timeval patience = {.tv_sec = PATIENCE_S};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return fd;
}

static void answer(int listener) {
  struct timeval patience = {.tv_sec = PATIENCE_S};
  char byte;
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    /* The caller's reset ends the second read. */
    if (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1) (void)!read(fd, &byte, 1);
    close(fd);
  }
}

static int serve(const char *port) {
  struct sockaddr_in address = address_of("0.0.0.0", port);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) die("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(listener, BACKLOG) < 0) die("listen");
  for (int i = 1; i < SERVERS; i++) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    answer(listener);
  }
  puts("ready");
  fflush(stdout);
  answer(listener);
  return 0;
}

/* One connection; 1 when the byte came back. */
static int call_once(const struct sockaddr_in *to) {
  struct linger reset = {.l_onoff = 1};
  char byte = 'x';
  int fd = open_socket();
  int done = connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 &&
             write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  return done;
}

static void call_until(const struct sockaddr_in *to, uint64_t end, int result) {
  struct tally tally = {0};
  while (now_ns() < end) {
    if (call_once(to))
      tally.connections++;
    else
      tally.failed++;
  }
  if (write(result, &tally, sizeof tally) != sizeof tally) die("write");
  exit(0);
}

static int call(const struct sockaddr_in *to, uint64_t duration) {
  struct tally sum = {0}, one;
  int result[2];
  if (pipe(result) < 0) die("pipe");
  uint64_t start = now_ns();
  for (int i = 0; i < CALLERS; i++) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) call_until(to, start + duration, result[1]);
  }
  for (int i = 0; i < CALLERS; i++) {
    if (read(result[0], &one, sizeof one) != sizeof one) die("read");
    sum.connections += one.connections;
    sum.failed += one.failed;
  }
  uint64_t ns = now_ns() - start;
  while (wait(NULL) > 0) continue;
  printf("{\"connections\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"ns\": %" PRIu64 "}\n",
         sum.connections, sum.failed, ns);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve(argv[2]);
  if (argc == 5 && strcmp(argv[1], "call") == 0 && atoi(argv[4]) > 0) {
    struct sockaddr_in to = address_of(argv[2], argv[3]);
    return call(&to, (uint64_t)atoi(argv[4]) * 1000000u);
  }
  fputs("usage: connect-load serve PORT | connect-load call ADDRESS PORT MILLISECONDS\n", stderr);
  return 1;
}
