/*
 * What a fleet-host plugin in C is written with.
 *
 * A plugin is a set of functions: the host makes a fresh instance for each call, so nothing kept in a
 * variable is there for the next one, and nothing needs to be freed. What outlives a call is the handle.
 *
 * `plugin.h` is the contract, generated from the project's wit/ by `fleet-host plugin build`; the names here
 * are short for its own. A function that can fail answers false and fills in `err`.
 *
 * The version is the contract's: 0.1.0 is for fleet:backend@0.1.0.
 */
#ifndef FLEET_H
#define FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "plugin.h"

typedef plugin_string_t fleet_text_t;
typedef fleet_common_types_attributes_t fleet_attributes_t;
typedef fleet_common_types_error_t fleet_error_t;
typedef fleet_common_types_handle_t fleet_handle_t;
typedef fleet_common_types_op_t fleet_op_t;
typedef fleet_common_types_page_t fleet_page_t;

/* ---- texts ---- */

/* A text that stands in the program. */
fleet_text_t fleet_text(const char *text);

/* A text that is put together, as printf does it. */
fleet_text_t fleet_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text of its own with the same words: where one text goes into an answer twice. */
fleet_text_t fleet_copy(fleet_text_t text);

/* Whether two texts are the same. */
bool fleet_is(fleet_text_t text, const char *other);

/* For printf("%.*s", FLEET_SHOWN(text)). */
#define FLEET_SHOWN(text) (int)(text).len, (const char *)(text).ptr

/* ---- errors: the host decides on the kind, programs match the code, people read the message ---- */

/* The request itself is wrong: the same again fails again. Always false. */
bool fleet_invalid(fleet_error_t *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error of any kind (FLEET_COMMON_TYPES_ERROR_KIND_...). Always false. */
bool fleet_fail(fleet_error_t *err, uint8_t kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What was done, or is fine because what it is about is gone already. */
bool fleet_or_gone(bool is_done, const fleet_error_t *err);

/* ---- handles: a plugin's state, here one text ---- */

/* What the host stores of a handle at most, in bytes. */
#define FLEET_MAX_HANDLE_BYTES (64 * 1024)

/* A handle that holds a text, in the plugin's own format number `schema`. The text becomes the handle's: it is
 * not copied. `invalid` (handle-too-large) for more than 64 KiB, `internal` (handle-unwritable) for bytes that are
 * no UTF-8. */
bool fleet_handle_of(uint32_t schema, fleet_text_t text, fleet_handle_t *ret, fleet_error_t *err);

/* The text in it, which stays the handle's: `unsupported` (handle-schema) for another format, `internal`
 * (handle-unreadable) for what `fleet_handle_of` cannot have written. */
bool fleet_handle_text(const fleet_handle_t *handle, uint32_t schema, fleet_text_t *ret, fleet_error_t *err);

/* ---- [config]: JSON that the host has checked against the plugin's schema ---- */

/* Refuses a key that is not among these; the last is NULL. */
bool fleet_config_keys(const fleet_text_t *config, const char *const keys[], fleet_error_t *err);

/* A whole number, or `fallback` where the key is not there. */
bool fleet_config_number(
    const fleet_text_t *config, const char *key, int64_t fallback, int64_t *ret, fleet_error_t *err);

/* A copy of a text without escapes, or of `fallback` where the key is not there. */
bool fleet_config_text(
    const fleet_text_t *config, const char *key, const char *fallback, fleet_text_t *ret, fleet_error_t *err);

/* ---- facts ---- */

/* Adds one. Its value becomes the fact's: it is not copied. */
void fleet_fact(fleet_attributes_t *facts, const char *name, fleet_text_t value);

#endif
