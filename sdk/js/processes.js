/**
 * What a backend says of a program that it has the host run.
 *
 * A backend that runs programs composes a command line and leaves the rest to the import `process`: the
 * host keeps the program, its output and its exit record across its own restarts. Needs
 * `import fleet:host/process` in `wit/world.wit`, and a launcher in `plugin.toml`.
 */

import * as process from 'fleet:host/process@0.1.0';

import { isKind } from './errors.js';
import { mendSources } from './sources.js';

mendSources(process.open);

/** What the host can do for programs here; unusable, with the line to add, where nothing is granted. */
export function facilities() {
  try {
    return { unusable: undefined, attributes: process.facilities() };
  } catch (thrown) {
    if (isKind(thrown, 'denied')) return { unusable: thrown.payload.message, attributes: [] };
    throw thrown;
  }
}

/** The answer to `create`. */
export function created(handle, prepared) {
  return { tag: 'ready', val: { handle, killTarget: prepared.killTarget } };
}

/** Starts it. One whose start was lost may have run: the next look says so. */
export function start(op, ref) {
  try {
    process.start(op, ref);
  } catch (thrown) {
    if (thrown.payload?.code !== 'start-lost') throw thrown;
  }
}

/**
 * What a look at it says of the runtime. One the host has no record of is lost: a handle exists only for
 * one that was prepared.
 */
export function observe(ref) {
  let status;
  try {
    status = process.inspect(ref);
  } catch (thrown) {
    if (isKind(thrown, 'not-found')) return without({ tag: 'lost', val: thrown.payload.message });
    throw thrown;
  }
  const { state, pid, startedAtMs } = status;
  const attributes = status.attributes.filter(([name]) => name !== 'pid');
  if (pid !== undefined) attributes.push(['pid', String(pid)]);
  if (state.tag === 'exited' && state.val.signal !== undefined) attributes.push(['signal', state.val.signal]);
  return { state: state.tag === 'prepared' ? { tag: 'created' } : state, startedAtMs, attributes };
}

/** Looks at each, in order; one that cannot be looked at spoils no other's answer. */
export function observeEach(handles, look) {
  return handles.map((handle) => {
    try {
      return look(handle);
    } catch (thrown) {
      return without({ tag: 'unknown', val: thrown.payload?.message ?? String(thrown) });
    }
  });
}

/** The host's records of this plugin's programs. They are this node's own, so `node` stays empty. */
export function listing(page, handleOf) {
  const found = process.list(page);
  const entries = found.entries.map(({ ref, workload, generation }) => {
    return { handle: handleOf(ref), workload, node: '', generation };
  });
  return { entries, next: found.next };
}

/** The answer to `watch`: a source that closes when the program has ended. */
export function end(ref) {
  return process.open(ref, { tag: 'end' });
}

/** The answer to `logs.open`: what the program printed. */
export function output(ref, options) {
  return process.open(ref, { tag: 'output', val: options });
}

function without(state) {
  return { state, startedAtMs: undefined, attributes: [] };
}
