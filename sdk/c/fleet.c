#include "fleet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t bytes) {
  void *made = malloc(bytes > 0 ? bytes : 1);
  if (made == NULL) abort(); /* The host tells it as its limit on memory. */
  return made;
}

static fleet_text_t formatted(const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  const int length = vsnprintf(NULL, 0, format, values);
  char *made = allocate((size_t)length + 1);
  vsnprintf(made, (size_t)length + 1, format, again);
  va_end(again);
  return (fleet_text_t){.ptr = (uint8_t *)made, .len = (size_t)length};
}

fleet_text_t fleet_text(const char *text) {
  fleet_text_t made;
  plugin_string_dup(&made, text);
  return made;
}

fleet_text_t fleet_format(const char *format, ...) {
  va_list values;
  va_start(values, format);
  const fleet_text_t made = formatted(format, values);
  va_end(values);
  return made;
}

static fleet_text_t copied(const void *from, size_t length) {
  uint8_t *made = allocate(length);
  if (length > 0) memcpy(made, from, length);
  return (fleet_text_t){.ptr = made, .len = length};
}

fleet_text_t fleet_copy(fleet_text_t text) {
  return copied(text.ptr, text.len);
}

bool fleet_is(fleet_text_t text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

static bool fail(fleet_error_t *err, uint8_t kind, const char *code, fleet_text_t message) {
  memset(err, 0, sizeof *err);
  err->kind = kind;
  err->code = fleet_text(code);
  err->message = message;
  return false;
}

bool fleet_fail(fleet_error_t *err, uint8_t kind, const char *code, const char *format, ...) {
  va_list values;
  va_start(values, format);
  const fleet_text_t message = formatted(format, values);
  va_end(values);
  return fail(err, kind, code, message);
}

bool fleet_invalid(fleet_error_t *err, const char *code, const char *format, ...) {
  va_list values;
  va_start(values, format);
  const fleet_text_t message = formatted(format, values);
  va_end(values);
  return fail(err, FLEET_COMMON_TYPES_ERROR_KIND_INVALID, code, message);
}

bool fleet_or_gone(bool is_done, const fleet_error_t *err) {
  return is_done || err->kind == FLEET_COMMON_TYPES_ERROR_KIND_NOT_FOUND;
}

/* ---- handles ---- */

/* How many bytes the character takes that begins here; none where it is no UTF-8. */
static size_t character(const uint8_t *at, size_t rest) {
  const uint8_t first = at[0];
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0 || length > rest) return 0;
  /* No longer spelling of a shorter character, no half of a pair, nothing beyond the last plane. */
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

/* What bytes are to a handle. */
typedef enum { FITS, TOO_LARGE, NO_TEXT } fit_t;

/* What is no text would end the next call to the host with a trap. */
static fit_t fit(const uint8_t *bytes, size_t length) {
  if (length > FLEET_MAX_HANDLE_BYTES) return TOO_LARGE;
  for (size_t i = 0; i < length;) {
    const size_t taken = character(bytes + i, length - i);
    if (taken == 0) return NO_TEXT;
    i += taken;
  }
  return FITS;
}

bool fleet_handle_of(uint32_t schema, fleet_text_t text, fleet_handle_t *ret, fleet_error_t *err) {
  switch (fit(text.ptr, text.len)) {
    case TOO_LARGE:
      return fleet_invalid(
          err, "handle-too-large",
          "the workload's state takes %zu bytes and %d are kept: shorten its [config]", text.len,
          FLEET_MAX_HANDLE_BYTES);
    case NO_TEXT:
      return fleet_fail(
          err, FLEET_COMMON_TYPES_ERROR_KIND_INTERNAL, "handle-unwritable",
          "the state is no UTF-8; report it to the plugin's author");
    case FITS:
      break;
  }
  memset(ret, 0, sizeof *ret);
  ret->schema = schema;
  ret->opaque.ptr = text.ptr;
  ret->opaque.len = text.len;
  return true;
}

bool fleet_handle_text(const fleet_handle_t *handle, uint32_t schema, fleet_text_t *ret, fleet_error_t *err) {
  if (handle->schema != schema) {
    return fleet_fail(
        err, FLEET_COMMON_TYPES_ERROR_KIND_UNSUPPORTED, "handle-schema",
        "the handle has format %u and this version of the plugin reads %u: use the version that wrote it, or "
        "remove the workload and run it anew",
        (unsigned)handle->schema, (unsigned)schema);
  }
  const fit_t found = fit(handle->opaque.ptr, handle->opaque.len);
  if (found != FITS) {
    return fleet_fail(
        err, FLEET_COMMON_TYPES_ERROR_KIND_INTERNAL, "handle-unreadable",
        "the handle cannot be read: it %s; remove the workload and run it anew",
        found == TOO_LARGE ? "is longer than 64 KiB" : "is no UTF-8");
  }
  *ret = (fleet_text_t){.ptr = handle->opaque.ptr, .len = handle->opaque.len};
  return true;
}

/* ---- facts ---- */

void fleet_fact(fleet_attributes_t *facts, const char *name, fleet_text_t value) {
  plugin_tuple2_string_string_t *all = allocate((facts->len + 1) * sizeof *all);
  if (facts->len > 0) memcpy(all, facts->ptr, facts->len * sizeof *all);
  all[facts->len].f0 = fleet_text(name);
  all[facts->len].f1 = value;
  facts->ptr = all;
  facts->len += 1;
}

/* ---- JSON. The host wrote it, so it is well formed and has no blanks but those in texts. ---- */

/* What is left of a text. */
typedef struct {
  const char *at;
  const char *end;
} rest_t;

/* The end of the value that begins here. */
static const char *past_value(rest_t rest) {
  const char *at = rest.at;
  int depth = 0;
  bool is_quoted = false;
  for (; at < rest.end; at++) {
    if (is_quoted) {
      if (*at == '\\') {
        at++;
      } else if (*at == '"') {
        is_quoted = false;
        if (depth == 0) return at + 1;
      }
      continue;
    }
    switch (*at) {
      case '"':
        is_quoted = true;
        break;
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        if (depth == 0) return at;
        depth--;
        if (depth == 0) return at + 1;
        break;
      case ',':
      case ':':
        if (depth == 0) return at;
        break;
      default:
        break;
    }
  }
  return at;
}

/* The next key and value of an object; `rest` begins after its brace. */
static bool next_entry(rest_t *rest, rest_t *key, rest_t *value) {
  if (rest->at < rest->end && *rest->at == ',') rest->at++;
  if (rest->at >= rest->end || *rest->at != '"') return false;
  *key = (rest_t){rest->at + 1, past_value(*rest) - 1};
  rest->at = key->end + 2;
  if (rest->at >= rest->end) return false;
  *value = (rest_t){rest->at, past_value(*rest)};
  rest->at = value->end;
  return true;
}

static rest_t inside(const fleet_text_t *object) {
  const char *text = (const char *)object->ptr;
  return (rest_t){object->len > 0 ? text + 1 : text, text + object->len};
}

static bool is_key(rest_t key, const char *name) {
  const size_t length = strlen(name);
  return (size_t)(key.end - key.at) == length && memcmp(key.at, name, length) == 0;
}

static bool find(const fleet_text_t *object, const char *name, rest_t *value) {
  rest_t rest = inside(object), key;
  while (next_entry(&rest, &key, value)) {
    if (is_key(key, name)) return true;
  }
  return false;
}

static bool unusable(fleet_error_t *err, const char *key, const char *what) {
  return fleet_invalid(
      err, "config", "[config] cannot be used: `%s` must be %s; see the backend's schema", key, what);
}

bool fleet_config_keys(const fleet_text_t *config, const char *const keys[], fleet_error_t *err) {
  rest_t rest = inside(config), key, value;
  while (next_entry(&rest, &key, &value)) {
    bool is_known = false;
    for (size_t i = 0; keys[i] != NULL; i++) is_known |= is_key(key, keys[i]);
    if (!is_known) {
      return fleet_invalid(
          err, "config", "[config] cannot be used: there is no key `%.*s`; see the backend's schema",
          (int)(key.end - key.at), key.at);
    }
  }
  return true;
}

bool fleet_config_number(
    const fleet_text_t *config, const char *key, int64_t fallback, int64_t *ret, fleet_error_t *err) {
  rest_t value;
  *ret = fallback;
  if (!find(config, key, &value)) return true;
  int64_t number = 0;
  const bool is_negative = value.at < value.end && *value.at == '-';
  const char *at = value.at + (is_negative ? 1 : 0);
  if (at == value.end || value.end - at > 18) return unusable(err, key, "a whole number");
  for (; at < value.end; at++) {
    if (*at < '0' || *at > '9') return unusable(err, key, "a whole number");
    number = number * 10 + (*at - '0');
  }
  *ret = is_negative ? -number : number;
  return true;
}

bool fleet_config_text(
    const fleet_text_t *config, const char *key, const char *fallback, fleet_text_t *ret, fleet_error_t *err) {
  rest_t value;
  if (!find(config, key, &value)) {
    *ret = fleet_text(fallback);
    return true;
  }
  const size_t length = (size_t)(value.end - value.at);
  if (length < 2 || *value.at != '"' || memchr(value.at, '\\', length) != NULL) {
    return unusable(err, key, "a text without quotes, backslashes and control characters");
  }
  *ret = copied(value.at + 1, length - 2);
  return true;
}
