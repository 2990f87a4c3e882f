{
  "targets": [
    {
      "target_name": "ufan",
      "sources": [
        "addon.c",
        "arguments.c",
        "netlink_napi.c",
        "offload_napi.c",
        "packet_socket_napi.c",
        "poller_napi.c",
        "raw_socket_napi.c",
        "tun_napi.c",
        "checksum.c",
        "gso_shim.c",
        "lock.c",
        "merge.c",
        "netlink.c",
        "packet_receive.c",
        "packet_send.c",
        "packet_socket.c",
        "poller.c",
        "raw_receive.c",
        "raw_send.c",
        "raw_socket.c",
        "segment.c",
        "send_queue.c",
        "transport.c",
        "tun.c",
        "vnet.c"
      ],
      "defines": ["_GNU_SOURCE", "NAPI_VERSION=8"],
      "cflags": ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "libraries": ["-lbpf"]
    },
    {
      "target_name": "gso_shim",
      "type": "none",
      "actions": [
        {
          "action_name": "clang",
          "inputs": ["gso_shim.bpf.c", "gso_shim_mark.h"],
          "outputs": ["<(module_root_dir)/build/gso_shim.bpf.o"],
          "action": [
            "clang",
            "-target",
            "bpf",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I/usr/include/<!(cc -print-multiarch)",
            "-c",
            "gso_shim.bpf.c",
            "-o",
            "<@(_outputs)"
          ]
        }
      ]
    }
  ]
}
