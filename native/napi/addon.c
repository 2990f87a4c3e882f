/*
 * The addon: a software NIC for TypeScript. It moves packets between the kernel and a slab of
 * memory, cuts and merges super-packets, and sums checksums; it decides nothing. It holds no state
 * of its own, neither static nor per environment, so that workers may load and leave it at will;
 * whoever opened a descriptor closes it.
 */
#include "exports.h"

NAPI_MODULE_INIT() {
  bool complete = export_confine(env, exports) && export_tun(env, exports) &&
                  export_raw_socket(env, exports) && export_packet_socket(env, exports) &&
                  export_udp_socket(env, exports) && export_program(env, exports) &&
                  export_bridge_exit(env, exports) && export_netlink(env, exports) &&
                  export_offload(env, exports) && export_poller(env, exports) &&
                  export_readable(env, exports);
  return complete ? exports : NULL;
}
