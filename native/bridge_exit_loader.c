/* See bridge_exit_loader.h; bpf(2). */
#include "bridge_exit_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "tcx.h"

/* Before the program is attached: with index 0 it would take packets of this host. */
static int configure(struct bpf_object *object, int tun, const char **syscall) {
  const uint32_t first = 0;
  const uint32_t index = (uint32_t)tun;
  int config = bpf_object__find_map_fd_by_name(object, "config");
  *syscall = "BPF_MAP_UPDATE_ELEM";
  if (config < 0) return config;
  return bpf_map_update_elem(config, &first, &index, BPF_ANY) < 0 ? -errno : 0;
}

static int attach(struct bpf_object *object, int bridge, int tun,
                  struct bridge_exit_handles *handles, const char **syscall) {
  int error = configure(object, tun, syscall);
  if (error < 0) return error;
  handles->ports = tcx_map(object, "ports", syscall);
  if (handles->ports < 0) return handles->ports;
  handles->link = tcx_attach(object, bridge, TCX_EGRESS, syscall);
  if (handles->link >= 0) return 0;
  close(handles->ports);
  return handles->link;
}

int bridge_exit_attach(const struct slab *file, int bridge, int tun,
                       struct bridge_exit_handles *handles, const char **syscall) {
  struct bpf_object *object;
  int error = tcx_load(file, &object, syscall);
  if (error < 0) return error;
  error = attach(object, bridge, tun, handles, syscall);
  bpf_object__close(object);
  return error;
}

int bridge_exit_set_port(int ports, const uint8_t mac[BRIDGE_EXIT_MAC_LEN], int port) {
  const uint32_t index = (uint32_t)port;
  struct bridge_exit_mac key = {.zero = {0}};
  memcpy(key.bytes, mac, sizeof key.bytes);
  if (port != 0) return bpf_map_update_elem(ports, &key, &index, BPF_ANY) < 0 ? -errno : 0;
  return bpf_map_delete_elem(ports, &key) < 0 && errno != ENOENT ? -errno : 0;
}
