/*
 * The format to write a handle in.
 *
 * Needs `import fleet:host/handles` in wit/world.wit, and no grant.
 */
#ifndef FLEET_HANDLES_H
#define FLEET_HANDLES_H

#include "fleet.h"

/* The number of the format: `own`, which `describe` names, or an older one as long as the version before this one
 * may be put back. */
static inline uint32_t fleet_write_schema(uint32_t own) {
  uint32_t wanted;
  return fleet_host_handles_write_schema(&wanted) ? wanted : own;
}

#endif
