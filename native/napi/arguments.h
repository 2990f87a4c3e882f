/*
 * JavaScript arguments to C and back, for the *_napi.c files. Every function that returns bool has
 * thrown a TypeError or RangeError when it returns false; the caller then returns NULL at once.
 * Nothing is kept between calls, so that the addon may be loaded by any number of workers.
 */
#ifndef UFAN_ARGUMENTS_H
#define UFAN_ARGUMENTS_H

#include <node_api.h>

#include "../packet.h"

/* Exactly `count` arguments into argv. */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv);

/* An integer in [min, max]. `name` is for the message. */
bool argument_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max,
                      int64_t *out);

/* A file descriptor: an integer from 0. */
bool argument_fd(napi_env env, napi_value value, int *out);

bool argument_boolean(napi_env env, napi_value value, const char *name, bool *out);

/* A string of less than `size` bytes without NUL. */
bool argument_string(napi_env env, napi_value value, const char *name, char *out, size_t size);

/* An object, for its properties. */
bool argument_object(napi_env env, napi_value value, const char *name);

/* A Uint8Array; its memory is good until the call returns to JavaScript. */
bool argument_bytes(napi_env env, napi_value value, const char *name, struct slab *out);

/* A Uint32Array of `count` words. */
bool argument_words(napi_env env, napi_value value, const char *name, uint32_t **out,
                    size_t *count);

/* A MAC address: a Uint8Array of 6 bytes. */
bool argument_mac(napi_env env, napi_value value, uint8_t out[6]);

/* A struct of `size` bytes as its words in the host's order: a Uint32Array of just as many. */
bool argument_struct(napi_env env, napi_value value, const char *name, void *out, size_t size);

/* A Uint32Array that holds at least `count` descriptors. */
bool argument_packets(napi_env env, napi_value value, size_t count, struct packet **out);

/* An Int32Array for poll tokens. */
bool argument_tokens(napi_env env, napi_value value, int32_t **out, size_t *capacity);

/* The three arguments of a batch: slab, descriptors, and a count that the descriptors must hold. */
struct batch {
  struct slab slab;
  struct packet *packets;
  size_t count;
};
bool argument_batch(napi_env env, const napi_value *argv, struct batch *out);

/* Throws Error {code: 'EPERM', errno: 1, syscall}; `error` is a positive or negative errno. Returns
 * NULL. */
napi_value throw_errno(napi_env env, int error, const char *syscall);

/* As throw_errno for a negative result, else `result` as a number. */
napi_value number_or_throw(napi_env env, int result, const char *syscall);

/* As throw_errno for a negative result, else undefined. */
napi_value nothing_or_throw(napi_env env, int result, const char *syscall);

napi_value number(napi_env env, double value);

/* A Uint32Array of [offset, length] pairs. */
struct range {
  uint32_t offset;
  uint32_t length;
};
napi_value range_array(napi_env env, const struct range *ranges, size_t count);

/* Sets exports[name]. */
bool export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

#endif
