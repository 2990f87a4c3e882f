/* A datagram to the service manager that started us (sd_notify(3)). */
#ifndef UFAN_NOTIFY_H
#define UFAN_NOTIFY_H

/*
 * Sends `text` to a datagram socket in the file system, or, where the path begins with '@', in the
 * abstract name space. 0 or -errno: -ENAMETOOLONG for a path that no socket can have, then *syscall
 * names the call that failed.
 */
int notify_manager(const char *path, const char *text, const char **syscall);

#endif
