/*
 * checksum, segment, mergeForTun: the offloads without a device, so that tests meet the very code
 * that rawSend and tunWrite run (see segment.h, merge.h). Not on the packet path.
 */
#include <errno.h>

#include "../checksum.h"
#include "../merge.h"
#include "../segment.h"
#include "arguments.h"
#include "exports.h"

/* Packets laid one after the other into `out`. */
struct output {
  struct slab out;
  size_t used;
  struct range *ranges;
  size_t count;
};

static bool output_append(struct output *output, const struct iovec *iov, int count) {
  struct range *range = &output->ranges[output->count++];
  range->offset = (uint32_t)output->used;
  for (int i = 0; i < count; i++) {
    if (iov[i].iov_len > output->out.size - output->used) return false;
    memcpy(output->out.bytes + output->used, iov[i].iov_base, iov[i].iov_len);
    output->used += iov[i].iov_len;
  }
  range->length = (uint32_t)(output->used - range->offset);
  return true;
}

static napi_value output_result(napi_env env, int error, const struct output *output,
                                const char *name) {
  if (error == 0) return range_array(env, output->ranges, output->count);
  return throw_errno(env, error, name);
}

static int segment_all(uint8_t *bytes, struct packet *packet, struct output *output) {
  uint8_t header[SEGMENT_HEADER_MAX];
  const uint8_t *payload;
  struct segmenter segmenter;
  if (packet->gso_type == GSO_NONE) {
    bool partial = (packet->flags & NEEDS_CSUM) != 0;
    int error = partial ? packet_complete_checksum(bytes, packet) : 0;
    struct iovec iov = {bytes, packet->length};
    if (error < 0) return error;
    return output_append(output, &iov, 1) ? 0 : -ENOBUFS;
  }
  int error = segmenter_open(&segmenter, bytes, packet, 0);
  if (error < 0) return error;
  for (size_t length; (length = segmenter_next(&segmenter, header, &payload)) > 0;) {
    struct iovec iov[] = {{header, segmenter.header_len}, {(void *)payload, length}};
    if (!output_append(output, iov, 2)) return -ENOBUFS;
  }
  return 0;
}

static napi_value js_segment(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct slab slab;
  struct output output = {0};
  struct packet *packets;
  int64_t index;
  struct range ranges[UINT16_MAX]; /* one byte of payload each, at worst */
  if (!arguments(env, info, 4, argv) || !argument_bytes(env, argv[0], "slab", &slab)) return NULL;
  if (!argument_integer(env, argv[2], "index", 0, UINT16_MAX, &index)) return NULL;
  if (!argument_packets(env, argv[1], (size_t)index + 1, &packets)) return NULL;
  if (!argument_bytes(env, argv[3], "out", &output.out)) return NULL;
  output.ranges = ranges;
  struct packet *packet = &packets[index];
  if (!packet_in_slab(packet, &slab)) return throw_errno(env, EINVAL, "segment");
  int error = segment_all(slab.bytes + packet->offset, packet, &output);
  return output_result(env, error, &output, "segment");
}

static napi_value js_merge_for_tun(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  struct batch batch;
  struct output output = {0};
  int64_t mtu;
  int64_t merge;
  struct merge_plan plan;
  struct iovec iov[MERGE_MAX_IOV];
  struct range ranges[UINT16_MAX];
  if (!arguments(env, info, 6, argv) || !argument_batch(env, argv, &batch)) return NULL;
  if (!argument_integer(env, argv[3], "mtu", 68, UINT16_MAX, &mtu)) return NULL;
  if (!argument_integer(env, argv[4], "merge", 0, MERGE_TCP | MERGE_UDP, &merge)) return NULL;
  if (!argument_bytes(env, argv[5], "out", &output.out)) return NULL;
  output.ranges = ranges;
  int error = 0;
  for (size_t start = 0; start < batch.count && error == 0; start += MERGE_CHUNK) {
    size_t chunk = batch.count - start < MERGE_CHUNK ? batch.count - start : MERGE_CHUNK;
    merge_plan_build(&plan, &batch.slab, batch.packets + start, chunk, (size_t)mtu, (unsigned)merge,
                     0);
    for (size_t i = 0; i < plan.unit_count && error == 0; i++) {
      int count = merge_unit_gather(&plan, &plan.units[i], iov);
      if (!output_append(&output, iov, count)) error = -ENOBUFS;
    }
  }
  return output_result(env, error, &output, "mergeForTun");
}

static napi_value js_checksum(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  struct slab bytes;
  int64_t offset;
  int64_t length;
  if (!arguments(env, info, 3, argv) || !argument_bytes(env, argv[0], "bytes", &bytes)) return NULL;
  if (!argument_integer(env, argv[1], "offset", 0, (int64_t)bytes.size, &offset)) return NULL;
  if (!argument_integer(env, argv[2], "length", 0, (int64_t)bytes.size - offset, &length))
    return NULL;
  uint8_t field[2];
  checksum_store(field, checksum_sum(bytes.bytes + offset, (size_t)length));
  return number(env, load_be16(field));
}

bool export_offload(napi_env env, napi_value exports) {
  return export_function(env, exports, "checksum", js_checksum) &&
         export_function(env, exports, "segment", js_segment) &&
         export_function(env, exports, "mergeForTun", js_merge_for_tun);
}
