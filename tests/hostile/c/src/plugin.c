/*
 * A backend that does its worst: what only the raw interface allows, as its workload's `[config] deed` says, in
 * `create`; deeds of other calls travel in the handle.
 */

#include <stdlib.h>
#include <string.h>

#include "fleet.h"

/* Makes the table of functions longer, by so many as fit in one step, until the host says no. */
__asm__(".tabletype __indirect_function_table, funcref");
static int32_t grow_table(void) {
  int32_t before;
  __asm__ volatile("ref.null_func\ni32.const 1000\ntable.grow __indirect_function_table\nlocal.set %0" : "=r"(before));
  return before;
}

/* Beyond any memory a plugin may have. */
#define NOWHERE ((uint8_t *)0xfffff000u)

bool exports_fleet_backend_driver_describe(
    exports_fleet_backend_driver_description_t *ret, fleet_error_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  ret->name = fleet_text("hostile");
  ret->version = fleet_text("0.1.0");
  ret->handle_schema = 1;
  ret->reads.len = 1;
  ret->reads.ptr = malloc(sizeof *ret->reads.ptr);
  ret->reads.ptr[0] = 1;
  ret->config_schema = fleet_text("{\"type\": \"object\"}");
  return true;
}

bool exports_fleet_backend_driver_fingerprint(
    exports_fleet_backend_driver_facilities_t *ret, fleet_error_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

/* More than the stack has. A function of its own, so that nothing else has this frame. */
__attribute__((noinline)) static void overflow(void) {
  volatile uint8_t room[1 << 20];
  for (size_t i = 0; i < sizeof room; i++) room[i] = 1;
  volatile uint8_t *below = room - (1 << 20);
  for (size_t i = 0; i < (1 << 20); i++) below[i] = 1;
}

/* Answers an error whose message is not what a text should be. */
static bool lying(fleet_error_t *err, uint8_t *at, size_t length) {
  fleet_invalid(err, "lie", "a lie");
  err->message.ptr = at;
  err->message.len = length;
  return false;
}

bool exports_fleet_backend_driver_create(
    fleet_op_t *op, exports_fleet_backend_driver_workload_t *workload,
    exports_fleet_backend_driver_creation_t *ret, fleet_error_t *err) {
  (void)op;
  fleet_text_t deed;
  if (!fleet_config_text(&workload->config, "deed", "", &deed, err)) return false;
  memset(ret, 0, sizeof *ret);
  if (fleet_is(deed, "pointer")) return lying(err, NOWHERE, 16);
  if (fleet_is(deed, "length")) return lying(err, (uint8_t *)err, 0x7fffffffu);
  if (fleet_is(deed, "utf8")) {
    uint8_t *bytes = malloc(4);
    memset(bytes, 0xff, 4);
    return lying(err, bytes, 4);
  }
  if (fleet_is(deed, "kind")) {
    fleet_invalid(err, "lie", "a lie");
    err->kind = 99;
    return false;
  }
  if (fleet_is(deed, "stack")) {
    overflow();
    abort();
  }
  if (fleet_is(deed, "table")) {
    while (grow_table() != -1) {
    }
    abort();
  }
  if (fleet_is(deed, "null")) {
    void (*volatile nothing)(void) = NULL;
    nothing();
  }
  ret->tag = EXPORTS_FLEET_BACKEND_DRIVER_CREATION_READY;
  return fleet_handle_of(1, deed, &ret->val.ready.handle, err);
}

bool exports_fleet_backend_driver_start(
    fleet_op_t *op, fleet_handle_t *handle, fleet_handle_t *ret, fleet_error_t *err) {
  (void)op, (void)err;
  *ret = *handle;
  return true;
}

bool exports_fleet_backend_driver_stop(
    fleet_op_t *op, fleet_handle_t *handle, fleet_text_t *signal, fleet_handle_t *ret, fleet_error_t *err) {
  (void)op, (void)signal, (void)err;
  *ret = *handle;
  return true;
}

bool exports_fleet_backend_driver_kill(
    fleet_op_t *op, fleet_handle_t *handle, fleet_handle_t *ret, fleet_error_t *err) {
  (void)op, (void)err;
  *ret = *handle;
  return true;
}

bool exports_fleet_backend_driver_destroy(fleet_op_t *op, fleet_handle_t *handle, fleet_error_t *err) {
  (void)op, (void)handle, (void)err;
  return true;
}

bool exports_fleet_backend_driver_inspect(
    fleet_handle_t *handle, exports_fleet_backend_driver_observation_t *ret, fleet_error_t *err) {
  (void)handle, (void)err;
  memset(ret, 0, sizeof *ret);
  ret->state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_RUNNING;
  return true;
}

bool exports_fleet_backend_driver_recover(
    exports_fleet_backend_driver_list_handle_t *handles, exports_fleet_backend_driver_list_observation_t *ret,
    fleet_error_t *err) {
  (void)err;
  ret->len = handles->len;
  ret->ptr = calloc(handles->len + 1, sizeof *ret->ptr);
  for (size_t i = 0; i < handles->len; i++) {
    ret->ptr[i].state.tag = EXPORTS_FLEET_BACKEND_DRIVER_RUN_STATE_RUNNING;
  }
  return true;
}

bool exports_fleet_backend_driver_list(
    fleet_page_t *page, exports_fleet_backend_driver_listing_t *ret, fleet_error_t *err) {
  (void)page, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

/* A source it was never given: one of nobody, and one that is given twice. */
bool exports_fleet_backend_driver_watch(
    fleet_handle_t *handle, exports_fleet_backend_driver_option_own_source_t *ret, fleet_error_t *err) {
  fleet_text_t deed;
  if (!fleet_handle_text(handle, 1, &deed, err)) return false;
  ret->is_some = true;
  if (fleet_is(deed, "forged-source")) {
    ret->val.__handle = 4711;
    return true;
  }
  fleet_host_lines_list_line_t none = {0};
  if (!fleet_host_lines_open(&none, &ret->val, err)) return false;
  if (fleet_is(deed, "dropped-source")) fleet_host_sources_source_drop_own(ret->val);
  return true;
}
