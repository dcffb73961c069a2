/** A plugin's state: what it writes into a handle and reads back, as JSON. */

import { internal, invalid, unsupported } from './errors.js';

/** What the host stores of a handle at most. */
export const MAX_HANDLE_BYTES = 64 * 1024;

/**
 * A handle that holds `state`, in the plugin's own format number `schema`.
 *
 * Throws `invalid` (`handle-too-large`) for more than 64 KiB.
 */
export function writeHandle(schema, state) {
  const opaque = new TextEncoder().encode(JSON.stringify(state));
  if (opaque.length > MAX_HANDLE_BYTES) {
    throw invalid(
      'handle-too-large',
      `the workload's state takes ${opaque.length} bytes and ${MAX_HANDLE_BYTES} are kept: shorten its [config]`,
    );
  }
  return { schema, opaque };
}

/**
 * The state in a handle that was written with format number `schema`; `keys` are the ones it must have.
 *
 * Throws `unsupported` (`handle-schema`) for another format, `internal` (`handle-unreadable`) for bytes
 * that are not of this one.
 */
export function readHandle(handle, schema, keys = []) {
  if (handle.schema !== schema) {
    throw unsupported(
      'handle-schema',
      `the handle has format ${handle.schema} and this version of the plugin reads ${schema}: use the version ` +
        'that wrote it, or remove the workload and run it anew',
    );
  }
  const unreadable = (why) =>
    internal('handle-unreadable', `the handle cannot be read: ${why}; remove the workload and run it anew`);
  let state;
  try {
    state = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(handle.opaque));
  } catch (why) {
    throw unreadable(why.message);
  }
  if (state === null || typeof state !== 'object') throw unreadable('it is no object');
  const missing = keys.find((key) => !(key in state));
  if (missing) throw unreadable(`the key \`${missing}\` is missing`);
  return state;
}
