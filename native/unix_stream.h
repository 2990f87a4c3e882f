/* A connection to who listens on a socket in the file system. */
#ifndef UFAN_UNIX_STREAM_H
#define UFAN_UNIX_STREAM_H

/*
 * Connects, and makes a descriptor that waits: at most `patience_ms` each time that it is read or
 * written (then that fails with EAGAIN), as connecting does. The descriptor or -errno, then
 * *syscall names the call that failed.
 */
int unix_stream_connect(const char *path, int patience_ms, const char **syscall);

#endif
