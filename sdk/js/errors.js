/**
 * Errors by their kind.
 *
 * The host decides on the kind alone, programs match the code, people read the message: so each error has
 * all three, and the message ends with what to do. Throw what these functions return:
 *
 *     throw invalid('command-missing', 'there is no program to run: put one after `--`');
 */

/** An error of any kind. `code` is stable and kebab-case. */
export function error(kind, code, message, { retryAfterMs, details = [] } = {}) {
  const thrown = new Error(message);
  // What the contract takes; `payload` is also where an import puts the error that it throws.
  thrown.payload = { kind, code, message, retryAfterMs, details };
  return thrown;
}

/** The request itself is wrong: the same again fails again. */
export const invalid = (code, message) => error('invalid', code, message);

/** What was named does not exist. For stop, kill and destroy that is success. */
export const notFound = (code, message) => error('not-found', code, message);

/** It clashes with what exists. */
export const conflict = (code, message) => error('conflict', code, message);

/** This plugin or host cannot do it. */
export const unsupported = (code, message) => error('unsupported', code, message);

/** Not reachable now: the host tries again. */
export const unavailable = (code, message, more) => error('unavailable', code, message, more);

/** A bug; it counts against the plugin. */
export const internal = (code, message) => error('internal', code, message);

/** Whether what was thrown is an error of this kind. */
export function isKind(thrown, kind) {
  return thrown?.payload?.kind === kind;
}

/** Does it; fine where what it is about is gone already. */
export function orGone(work) {
  try {
    return work();
  } catch (thrown) {
    if (isKind(thrown, 'not-found')) return undefined;
    throw thrown;
  }
}
