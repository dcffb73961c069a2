/*
 * The backend `calm`: programs that stand back for all others.
 *
 * The kernel gives such a program the processor only when nobody else wants it (SCHED_IDLE, sched(7)). It is begun with
 * `chrt`, through an operator's launcher; the handle is the name the host gave the process.
 */

#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "processes.h"

#define VERSION "0.1.0"

/* The number of the handle's format: raise it when the format changes. */
#define SCHEMA 1

/* What a workload may say in its [config]; `create` takes and refuses the same. */
static const char CONFIG_SCHEMA[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {}}";
static const char *const CONFIG_KEYS[] = {NULL};

/* What stands before a workload's own command. 0 is the only priority of this policy. */
static const char *const CALM[] = {"chrt", "--idle", "0"};
#define CALM_WORDS (sizeof CALM / sizeof *CALM)

bool exports_fleet_backend_driver_describe(
    exports_fleet_backend_driver_description_t *ret, fleet_error_t *err) {
  (void)err;
  static uint32_t reads[] = {SCHEMA};
  memset(ret, 0, sizeof *ret);
  ret->name = fleet_text("calm");
  ret->version = fleet_text(VERSION);
  ret->handle_schema = SCHEMA;
  ret->reads.len = 1;
  ret->reads.ptr = malloc(sizeof reads);
  memcpy(ret->reads.ptr, reads, sizeof reads);
  ret->config_schema = fleet_text(CONFIG_SCHEMA);
  return true;
}

bool exports_fleet_backend_driver_fingerprint(
    exports_fleet_backend_driver_facilities_t *ret, fleet_error_t *err) {
  return fleet_processes_facilities(ret, err);
}

bool exports_fleet_backend_driver_create(
    fleet_op_t *op, exports_fleet_backend_driver_workload_t *workload,
    exports_fleet_backend_driver_creation_t *ret, fleet_error_t *err) {
  if (!fleet_config_keys(&workload->config, CONFIG_KEYS, err)) return false;
  if (workload->command.len == 0) {
    return fleet_invalid(err, "command-missing", "there is no program to run: put one after `--`");
  }

  const size_t length = CALM_WORDS + workload->command.len;
  fleet_text_t *words = malloc(length * sizeof *words);
  for (size_t i = 0; i < CALM_WORDS; i++) words[i] = fleet_text(CALM[i]);
  memcpy(words + CALM_WORDS, workload->command.ptr, workload->command.len * sizeof *words);

  fleet_host_process_request_t request;
  memset(&request, 0, sizeof request);
  request.launcher = fleet_text("calm");
  request.workload = workload->id;
  request.command.ptr = words;
  request.command.len = length;
  request.env = workload->env;
  fleet_host_process_prepared_t prepared;
  if (!fleet_host_process_prepare(op, &request, &prepared, err)) return false;
  fleet_handle_t handle;
  if (!fleet_handle_of(SCHEMA, prepared.ref, &handle, err)) return false;
  fleet_processes_created(handle, &prepared, ret);
  return true;
}

bool exports_fleet_backend_driver_start(
    fleet_op_t *op, fleet_handle_t *handle, fleet_handle_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  *ret = *handle;
  return fleet_handle_text(handle, SCHEMA, &ref, err) && fleet_processes_start(op, ref, err);
}

bool exports_fleet_backend_driver_stop(
    fleet_op_t *op, fleet_handle_t *handle, fleet_text_t *signal, fleet_handle_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  *ret = *handle;
  if (!fleet_handle_text(handle, SCHEMA, &ref, err)) return false;
  return fleet_or_gone(fleet_host_process_signal(op, &ref, signal, err), err);
}

bool exports_fleet_backend_driver_kill(
    fleet_op_t *op, fleet_handle_t *handle, fleet_handle_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  *ret = *handle;
  if (!fleet_handle_text(handle, SCHEMA, &ref, err)) return false;
  return fleet_or_gone(fleet_host_process_kill(op, &ref, err), err);
}

bool exports_fleet_backend_driver_destroy(fleet_op_t *op, fleet_handle_t *handle, fleet_error_t *err) {
  fleet_text_t ref;
  if (!fleet_handle_text(handle, SCHEMA, &ref, err)) return false;
  return fleet_or_gone(fleet_host_process_remove(op, &ref, err), err);
}

bool exports_fleet_backend_driver_inspect(
    fleet_handle_t *handle, exports_fleet_backend_driver_observation_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  if (!fleet_handle_text(handle, SCHEMA, &ref, err)) return false;
  return fleet_processes_observe(ref, ret, err);
}

bool exports_fleet_backend_driver_recover(
    exports_fleet_backend_driver_list_handle_t *handles, exports_fleet_backend_driver_list_observation_t *ret,
    fleet_error_t *err) {
  ret->len = handles->len;
  ret->ptr = calloc(handles->len + 1, sizeof *ret->ptr);
  for (size_t i = 0; i < handles->len; i++) {
    if (!exports_fleet_backend_driver_inspect(&handles->ptr[i], &ret->ptr[i], err)) {
      fleet_processes_unknown(err, &ret->ptr[i]);
    }
  }
  return true;
}

bool exports_fleet_backend_driver_list(
    fleet_page_t *page, exports_fleet_backend_driver_listing_t *ret, fleet_error_t *err) {
  return fleet_processes_list(page, SCHEMA, ret, err);
}

bool exports_fleet_backend_driver_watch(
    fleet_handle_t *handle, exports_fleet_backend_driver_option_own_source_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  return fleet_handle_text(handle, SCHEMA, &ref, err) && fleet_processes_end(ref, ret, err);
}

bool exports_fleet_backend_logs_open(
    fleet_handle_t *handle, exports_fleet_backend_logs_options_t *options,
    exports_fleet_backend_logs_own_source_t *ret, fleet_error_t *err) {
  fleet_text_t ref;
  if (!fleet_handle_text(handle, SCHEMA, &ref, err)) return false;
  fleet_host_process_stream_t output = {.tag = FLEET_HOST_PROCESS_STREAM_OUTPUT};
  output.val.output.follow = options->follow;
  output.val.output.since_ms = options->since_ms;
  output.val.output.tail = options->tail;
  output.val.output.cursor = options->cursor;
  return fleet_host_process_open(&ref, &output, ret, err);
}
