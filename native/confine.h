/* What a process gives up for good before it begins its work: capabilities(7),
 * no_new_privs(2const). */
#ifndef UFAN_CONFINE_H
#define UFAN_CONFINE_H

#include <stdint.h>

/*
 * Executes `path` anew in this process, with no other capabilities than those of `keep` (bit n is
 * capability n) that it has, and without a way to get more: no_new_privs, and where it may, the
 * bounding set too. By execve since each thread has capabilities of its own, and Node has begun
 * several by now. `inherited` and the standard streams stay open in the
 * new program, or −1. Returns only where it fails:
 * -errno, then *syscall names the call; the process is as before but for what it gave up.
 */
int confine_and_execute(const char *path, char *const argv[], uint64_t keep, int inherited,
                        const char **syscall);

/*
 * The group of files that this thread makes from now on: setfsgid(2), which no other thread feels,
 * unlike setegid(3), which Node refuses where its libuv may use io_uring. The group before, or
 * -EPERM.
 */
int64_t file_group_set(uint32_t group);

#endif
