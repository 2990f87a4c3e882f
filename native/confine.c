/* Fewer privileges, for good (see confine.h). */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_CAPABILITIES = 64 };

/* A capability that the kernel doesn't know ends the list; without CAP_SETPCAP the set stays. */
static void bound(uint64_t keep) {
  for (int capability = 0; capability < MOST_CAPABILITIES; capability++) {
    if ((keep >> capability & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return;
  }
}

static int keep_capabilities(uint64_t keep, const char **syscall_name) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  *syscall_name = "capget";
  if (syscall(SYS_capget, &header, data) < 0) return -errno;
  for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
    data[i].permitted &= (uint32_t)(keep >> (32 * i));
    data[i].effective = data[i].permitted;
    data[i].inheritable &= data[i].permitted;
  }
  *syscall_name = "capset";
  return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confine_and_execute(const char *path, char *const argv[], uint64_t keep, int inherited,
                        const char **syscall_name) {
  /* A program that root executes is given the whole bounding set; with no_new_privs never more than
   * its caller has. So this comes first, and the rest may fail. */
  *syscall_name = "prctl";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
  bound(keep);
  int result = keep_capabilities(keep, syscall_name);
  if (result < 0) return result;
  /* Node has set the flag on those that it was given, too: uv_disable_stdio_inheritance. */
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) fcntl(fd, F_SETFD, 0);
  *syscall_name = "fcntl";
  if (inherited >= 0 && fcntl(inherited, F_SETFD, 0) < 0) return -errno;
  *syscall_name = "execv";
  execv(path, argv);
  int error = errno;
  if (inherited >= 0) fcntl(inherited, F_SETFD, FD_CLOEXEC);
  return -error;
}

int64_t file_group_set(uint32_t group) {
  /* It tells no error, only what was before; of no group, what is. */
  long before = syscall(SYS_setfsgid, group);
  long now = syscall(SYS_setfsgid, -1);
  return (uint32_t)now == group ? (int64_t)(uint32_t)before : -EPERM;
}
