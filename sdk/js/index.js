/**
 * What a fleet-host plugin in JavaScript is written with.
 *
 * A plugin is a set of functions: the host makes a fresh instance for each call, so nothing kept in a
 * variable is there for the next one. What outlives a call is the handle.
 *
 * The contract itself is imported by its name (`fleet:host/clock@0.1.0`); `contract.d.ts` has its types.
 * What a backend needs that has the host run programs is in `processes.js`, apart from this, because it
 * calls the import `process`.
 */

export { error, invalid, notFound, conflict, unsupported, unavailable, internal, isKind, orGone } from './errors.js';
export { exported } from './exported.js';
export { readHandle, writeHandle, MAX_HANDLE_BYTES } from './handles.js';
export { readConfig } from './configs.js';
export { pageOf } from './pages.js';
