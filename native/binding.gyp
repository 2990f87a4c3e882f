{
  "targets": [
    {
      "target_name": "ufan",
      "sources": [
        "addon.c",
        "arguments.c",
        "offload_napi.c",
        "poller_napi.c",
        "raw_socket_napi.c",
        "tun_napi.c",
        "checksum.c",
        "lock.c",
        "merge.c",
        "poller.c",
        "raw_receive.c",
        "raw_send.c",
        "raw_socket.c",
        "segment.c",
        "transport.c",
        "tun.c",
        "vnet.c"
      ],
      "defines": ["_GNU_SOURCE", "NAPI_VERSION=8"],
      "cflags": ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
    }
  ]
}
