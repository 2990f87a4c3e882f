{
  "variables": {
    "definitions": ["_GNU_SOURCE", "NAPI_VERSION=8"],
    "c_flags": ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    "link_flags": ["-Wl,-z,relro,-z,now"]
  },
  "targets": [
    {
      "target_name": "ufan",
      "sources": [
        "napi/addon.c",
        "napi/arguments.c",
        "napi/bridge_exit_napi.c",
        "napi/confine_napi.c",
        "napi/netlink_napi.c",
        "napi/offload_napi.c",
        "napi/packet_socket_napi.c",
        "napi/poller_napi.c",
        "napi/program_napi.c",
        "napi/raw_socket_napi.c",
        "napi/readable_napi.c",
        "napi/tun_napi.c",
        "napi/udp_socket_napi.c",
        "bridge_exit_loader.c",
        "checksum.c",
        "confine.c",
        "gso_shim.c",
        "lock.c",
        "merge.c",
        "netlink.c",
        "notify.c",
        "packet_receive.c",
        "packet_send.c",
        "packet_socket.c",
        "poller.c",
        "program_loader.c",
        "raw_receive.c",
        "raw_send.c",
        "raw_socket.c",
        "ring.c",
        "segment.c",
        "send_queue.c",
        "tcx.c",
        "transport.c",
        "tun.c",
        "udp_receive.c",
        "udp_send.c",
        "udp_socket.c",
        "vnet.c"
      ],
      "defines": ["<@(definitions)"],
      "cflags": ["<@(c_flags)"],
      "ldflags": ["<@(link_flags)"],
      "libraries": ["-lbpf"]
    },
    {
      "target_name": "connect",
      "sources": ["napi/arguments.c", "napi/connect_napi.c", "unix_stream.c"],
      "defines": ["<@(definitions)"],
      "cflags": ["<@(c_flags)"],
      "ldflags": ["<@(link_flags)"]
    },
    {
      "target_name": "bpf",
      "type": "none",
      "variables": {
        "clang": ["clang", "-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-I/usr/include/<!(cc -print-multiarch)", "-c"]
      },
      "actions": [
        {
          "action_name": "gso_shim",
          "inputs": ["bpf/gso_shim.bpf.c", "bpf/gso_shim_mark.h"],
          "outputs": ["<(module_root_dir)/build/gso_shim.bpf.o"],
          "action": ["<@(clang)", "bpf/gso_shim.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "encap",
          "inputs": ["bpf/encap.bpf.c", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/encap.bpf.o"],
          "action": ["<@(clang)", "bpf/encap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "decap",
          "inputs": ["bpf/decap.bpf.c", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/decap.bpf.o"],
          "action": ["<@(clang)", "bpf/decap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "vxlan_encap",
          "inputs": ["bpf/vxlan_encap.bpf.c", "bpf/vxlan_program.bpf.h", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/vxlan_encap.bpf.o"],
          "action": ["<@(clang)", "bpf/vxlan_encap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "vxlan_decap",
          "inputs": ["bpf/vxlan_decap.bpf.c", "bpf/vxlan_program.bpf.h", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/vxlan_decap.bpf.o"],
          "action": ["<@(clang)", "bpf/vxlan_decap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "vxlan_direct_decap",
          "inputs": ["bpf/vxlan_direct_decap.bpf.c", "bpf/vxlan_program.bpf.h", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/vxlan_direct_decap.bpf.o"],
          "action": ["<@(clang)", "bpf/vxlan_direct_decap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "vxlan_witness",
          "inputs": ["bpf/vxlan_witness.bpf.c", "bpf/vxlan_program.bpf.h", "bpf/fan_program.bpf.h", "bpf/fan_program.h"],
          "outputs": ["<(module_root_dir)/build/vxlan_witness.bpf.o"],
          "action": ["<@(clang)", "bpf/vxlan_witness.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "bridge_exit",
          "inputs": ["bpf/bridge_exit.bpf.c", "bpf/bridge_exit_program.h"],
          "outputs": ["<(module_root_dir)/build/bridge_exit.bpf.o"],
          "action": ["<@(clang)", "bpf/bridge_exit.bpf.c", "-o", "<@(_outputs)"]
        }
      ]
    }
  ]
}
