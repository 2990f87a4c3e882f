/*
 * Preloaded into user-mode Linux on x86-64: a guest's extended registers are put back whole.
 *
 * Its kernel keeps them in a buffer that was made before AMX, and PTRACE_SETREGSET takes all of
 * what the processor has or nothing (EFAULT), so on one with AMX no guest starts. What the buffer
 * lacks comes from the process itself: it is in its initial state, as nobody in the guest may use
 * it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

/* More than any processor has: Intel SDM vol. 1 §13.5. */
static _Thread_local char whole[32768];

typedef long (*ptrace_function)(enum __ptrace_request, ...);

static long put_back(ptrace_function next, pid_t pid, void *set, const struct iovec *part) {
  struct iovec all = {whole, sizeof whole};
  if (next(PTRACE_GETREGSET, pid, set, &all) != 0) return -1;
  /* It holds all that this processor has. */
  if (part->iov_len >= all.iov_len) return next(PTRACE_SETREGSET, pid, set, part);
  memcpy(whole, part->iov_base, part->iov_len);
  return next(PTRACE_SETREGSET, pid, set, &all);
}

long ptrace(enum __ptrace_request request, ...) {
  static ptrace_function next;
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "ptrace");
  if (request == PTRACE_SETREGSET && (unsigned long)address == NT_X86_XSTATE) {
    return put_back(next, pid, address, data);
  }
  return next(request, pid, address, data);
}
