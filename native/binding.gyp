{
  "targets": [
    {
      "target_name": "ufan",
      "sources": [
        "addon.c",
        "arguments.c",
        "bridge_exit_napi.c",
        "netlink_napi.c",
        "offload_napi.c",
        "packet_socket_napi.c",
        "poller_napi.c",
        "program_napi.c",
        "raw_socket_napi.c",
        "tun_napi.c",
        "bridge_exit_loader.c",
        "checksum.c",
        "gso_shim.c",
        "lock.c",
        "merge.c",
        "netlink.c",
        "packet_receive.c",
        "packet_send.c",
        "packet_socket.c",
        "poller.c",
        "program_loader.c",
        "raw_receive.c",
        "raw_send.c",
        "raw_socket.c",
        "segment.c",
        "send_queue.c",
        "tcx.c",
        "transport.c",
        "tun.c",
        "vnet.c"
      ],
      "defines": ["_GNU_SOURCE", "NAPI_VERSION=8"],
      "cflags": ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "libraries": ["-lbpf"]
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
          "inputs": ["gso_shim.bpf.c", "gso_shim_mark.h"],
          "outputs": ["<(module_root_dir)/build/gso_shim.bpf.o"],
          "action": ["<@(clang)", "gso_shim.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "encap",
          "inputs": ["encap.bpf.c", "fan_program.bpf.h", "fan_program.h"],
          "outputs": ["<(module_root_dir)/build/encap.bpf.o"],
          "action": ["<@(clang)", "encap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "decap",
          "inputs": ["decap.bpf.c", "fan_program.bpf.h", "fan_program.h"],
          "outputs": ["<(module_root_dir)/build/decap.bpf.o"],
          "action": ["<@(clang)", "decap.bpf.c", "-o", "<@(_outputs)"]
        },
        {
          "action_name": "bridge_exit",
          "inputs": ["bridge_exit.bpf.c", "bridge_exit_program.h"],
          "outputs": ["<(module_root_dir)/build/bridge_exit.bpf.o"],
          "action": ["<@(clang)", "bridge_exit.bpf.c", "-o", "<@(_outputs)"]
        }
      ]
    }
  ]
}
