#include "processes.h"

#include <stdlib.h>
#include <string.h>

bool fleet_processes_facilities(exports_fleet_backend_driver_facilities_t *ret, fleet_error_t *err) {
  memset(ret, 0, sizeof *ret);
  if (fleet_host_process_facilities(&ret->attributes, err)) return true;
  if (err->kind != FLEET_COMMON_TYPES_ERROR_KIND_DENIED) return false;
  ret->unusable.is_some = true;
  ret->unusable.val = err->message;
  return true;
}

void fleet_processes_created(
    fleet_handle_t handle, const fleet_host_process_prepared_t *prepared,
    exports_fleet_backend_driver_creation_t *ret) {
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_FLEET_BACKEND_DRIVER_CREATION_READY;
  ret->val.ready.handle = handle;
  if (!prepared->kill_target.is_some) return;
  const fleet_host_process_kill_target_t *from = &prepared->kill_target.val;
  exports_fleet_backend_driver_kill_target_t *to = &ret->val.ready.kill_target.val;
  ret->val.ready.kill_target.is_some = true;
  switch (from->tag) {
    case FLEET_HOST_PROCESS_KILL_TARGET_CGROUP:
      to->tag = EXPORTS_FLEET_BACKEND_DRIVER_KILL_TARGET_CGROUP;
      to->val.cgroup = from->val.cgroup;
      break;
    case FLEET_HOST_PROCESS_KILL_TARGET_PROCESS:
      to->tag = EXPORTS_FLEET_BACKEND_DRIVER_KILL_TARGET_PROCESS;
      to->val.process.f0 = from->val.process.f0;
      to->val.process.f1 = from->val.process.f1;
      break;
    default:
      to->tag = EXPORTS_FLEET_BACKEND_DRIVER_KILL_TARGET_OTHER;
      to->val.other = from->val.other;
      break;
  }
}

bool fleet_processes_start(fleet_op_t *op, fleet_text_t ref, fleet_error_t *err) {
  fleet_host_process_status_t status;
  return fleet_host_process_start(op, &ref, &status, err) || fleet_is(err->code, "start-lost");
}

void fleet_processes_unknown(const fleet_error_t *why, exports_fleet_backend_driver_observation_t *ret) {
  memset(ret, 0, sizeof *ret);
  ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_UNKNOWN;
  ret->state.val.unknown = why->message;
}

/* The host's facts but the one that is told from what it says of the process itself. */
static fleet_attributes_t without_pid(fleet_attributes_t facts) {
  size_t kept = 0;
  for (size_t i = 0; i < facts.len; i++) {
    if (!fleet_is(facts.ptr[i].f0, "pid")) facts.ptr[kept++] = facts.ptr[i];
  }
  facts.len = kept;
  return facts;
}

bool fleet_processes_observe(
    fleet_text_t ref, exports_fleet_backend_driver_observation_t *ret, fleet_error_t *err) {
  fleet_host_process_status_t status;
  memset(ret, 0, sizeof *ret);
  if (!fleet_host_process_inspect(&ref, &status, err)) {
    if (err->kind != FLEET_COMMON_TYPES_ERROR_KIND_NOT_FOUND) return false;
    ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_LOST;
    ret->state.val.lost = err->message;
    return true;
  }
  ret->started_at_ms = status.started_at_ms;
  ret->attributes = without_pid(status.attributes);
  if (status.pid.is_some) fleet_fact(&ret->attributes, "pid", fleet_format("%u", (unsigned)status.pid.val));
  switch (status.state.tag) {
    case FLEET_HOST_PROCESS_STATE_PREPARED:
      ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_CREATED;
      break;
    case FLEET_HOST_PROCESS_STATE_RUNNING:
      ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_RUNNING;
      break;
    case FLEET_HOST_PROCESS_STATE_EXITED:
      ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_EXITED;
      ret->state.val.exited.code = status.state.val.exited.code;
      ret->state.val.exited.signal = status.state.val.exited.signal;
      ret->state.val.exited.at_ms = status.state.val.exited.at_ms;
      if (status.state.val.exited.signal.is_some) {
        fleet_fact(&ret->attributes, "signal", fleet_copy(status.state.val.exited.signal.val));
      }
      break;
    case FLEET_HOST_PROCESS_STATE_LOST:
      ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_LOST;
      ret->state.val.lost = status.state.val.lost;
      break;
    default:
      ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_OTHER;
      ret->state.val.other = status.state.val.other;
      break;
  }
  return true;
}

bool fleet_processes_list(
    fleet_page_t *page, uint32_t schema, exports_fleet_backend_driver_listing_t *ret, fleet_error_t *err) {
  fleet_host_process_listing_t found;
  memset(ret, 0, sizeof *ret);
  if (!fleet_host_process_list(page, &found, err)) return false;
  ret->next = found.next;
  ret->entries.len = found.entries.len;
  ret->entries.ptr = calloc(found.entries.len + 1, sizeof *ret->entries.ptr);
  if (ret->entries.ptr == NULL) abort();
  for (size_t i = 0; i < found.entries.len; i++) {
    exports_fleet_backend_driver_listed_t *entry = &ret->entries.ptr[i];
    if (!fleet_handle_of(schema, found.entries.ptr[i].ref, &entry->handle, err)) return false;
    entry->workload = found.entries.ptr[i].workload;
    entry->node = fleet_text("");
    entry->generation = found.entries.ptr[i].generation;
  }
  return true;
}

bool fleet_processes_end(
    fleet_text_t ref, exports_fleet_backend_driver_option_own_source_t *ret, fleet_error_t *err) {
  fleet_host_process_stream_t end = {.tag = FLEET_HOST_PROCESS_STREAM_END};
  ret->is_some = fleet_host_process_open(&ref, &end, &ret->val, err);
  return ret->is_some;
}
