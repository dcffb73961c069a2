/*
 * What a backend says of a program that it has the host run.
 *
 * A backend that runs programs composes a command line and leaves the rest to the import `process`: the host
 * keeps the program, its output and its exit record across its own restarts. Needs
 * `import fleet:host/process` in wit/world.wit, and a launcher in plugin.toml.
 */
#ifndef FLEET_PROCESSES_H
#define FLEET_PROCESSES_H

#include "fleet.h"

/* What the host can do for programs here; unusable, with the line to add, where nothing is granted. */
bool fleet_processes_facilities(exports_fleet_backend_driver_facilities_t *ret, fleet_error_t *err);

/* The answer to `create`. */
void fleet_processes_created(
    fleet_handle_t handle, const fleet_host_process_prepared_t *prepared,
    exports_fleet_backend_driver_creation_t *ret);

/* Starts it. One whose start was lost may have run: the next look says so. */
bool fleet_processes_start(fleet_op_t *op, fleet_text_t ref, fleet_error_t *err);

/* What a look at it says of the runtime. One the host has no record of is lost: a handle exists only for one
 * that was prepared. */
bool fleet_processes_observe(
    fleet_text_t ref, exports_fleet_backend_driver_observation_t *ret, fleet_error_t *err);

/* What is said of a runtime that could not be looked at, so that it spoils no other's answer. */
void fleet_processes_unknown(const fleet_error_t *why, exports_fleet_backend_driver_observation_t *ret);

/* The host's records of this plugin's programs; their handles hold the host's name, in format `schema`. They
 * are this node's own, so `node` stays empty. */
bool fleet_processes_list(
    fleet_page_t *page, uint32_t schema, exports_fleet_backend_driver_listing_t *ret, fleet_error_t *err);

/* The answer to `watch`: a source that closes when the program has ended. */
bool fleet_processes_end(
    fleet_text_t ref, exports_fleet_backend_driver_option_own_source_t *ret, fleet_error_t *err);

#endif
