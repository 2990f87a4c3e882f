/*
 * Messages that were made from descriptors, several from one where it is a super-packet, on their
 * way through sendmmsg(2). Shared by raw_send() and packet_send().
 */
#ifndef UFAN_SEND_QUEUE_H
#define UFAN_SEND_QUEUE_H

#include <sys/socket.h>

#include "packet.h"

enum { SEND_BATCH = 128 };

struct send_queue {
  int fd;
  /* What this call may still wait for room, in the socket's buffer and in a queue behind it. */
  int64_t buffer_wait_us;
  int64_t queue_wait_us;
  struct packet *packets;
  unsigned count;
  struct mmsghdr messages[SEND_BATCH];
  uint32_t owner[SEND_BATCH]; /* the descriptor a message was made from */
};

/*
 * The rest is filled as messages are added. `patient`: a full queue behind the socket is the
 * kernel's own and drains at once, however often it is full.
 */
void send_queue_init(struct send_queue *queue, int fd, struct packet *packets, bool patient);

/*
 * Waits for room after `error` (EAGAIN or ENOBUFS) of a send; false when the budget for it is
 * spent.
 */
bool send_queue_wait(struct send_queue *queue, int error);

/* Sends all messages; one that fails sets its owner's error, the next ones go out. */
void send_queue_flush(struct send_queue *queue);

#endif
