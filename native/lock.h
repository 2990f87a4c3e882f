/* The lock that makes fand the only one of its run directory: flock(2), which ends with its holder.
 */
#ifndef UFAN_LOCK_H
#define UFAN_LOCK_H

/*
 * Opens (creating, mode 0600) and locks a file exclusively. The descriptor, whose close unlocks, or
 * -errno
 * (-EWOULDBLOCK: another holds it), then *syscall names the call that failed.
 */
int lock_file(const char *path, const char **syscall);

#endif
