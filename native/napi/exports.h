/* What each *_napi.c file adds to the addon's exports; src/io/native.ts declares the same to
 * TypeScript. */
#ifndef UFAN_EXPORTS_H
#define UFAN_EXPORTS_H

#include <node_api.h>
#include <stdbool.h>

bool export_tun(napi_env env, napi_value exports);
bool export_raw_socket(napi_env env, napi_value exports);
bool export_udp_socket(napi_env env, napi_value exports);
bool export_offload(napi_env env, napi_value exports);
bool export_packet_socket(napi_env env, napi_value exports);
bool export_bridge_exit(napi_env env, napi_value exports);
bool export_confine(napi_env env, napi_value exports);
bool export_program(napi_env env, napi_value exports);
bool export_netlink(napi_env env, napi_value exports);
bool export_poller(napi_env env, napi_value exports);
bool export_readable(napi_env env, napi_value exports);

#endif
