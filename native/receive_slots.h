/* How a receive divides a slab: one packet a slot, whose size is known only afterwards. */
#ifndef UFAN_RECEIVE_SLOTS_H
#define UFAN_RECEIVE_SLOTS_H

#include "packet.h"

/* The most packets that one receive takes. */
enum { RECEIVE_BATCH = 128 };

/*
 * Slots of the slab are this far apart: 29 cache lines more than a power of two, so that the
 * headers, and even full-size packets, of neighbouring slots fall into different sets of the L1 and
 * L2 caches.
 */
enum { RECEIVE_STRIDE = HEADROOM + MAX_PACKET + 28 * CACHE_LINE };

/* Slots in the slab, at most `capacity` and RECEIVE_BATCH; it holds HEADROOM + MAX_PACKET bytes. */
static inline size_t receive_slots(const struct slab *slab, size_t capacity) {
  size_t count = (slab->size + RECEIVE_STRIDE - HEADROOM - MAX_PACKET) / RECEIVE_STRIDE;
  if (count > capacity) count = capacity;
  return count < RECEIVE_BATCH ? count : RECEIVE_BATCH;
}

#endif
