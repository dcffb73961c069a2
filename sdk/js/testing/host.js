/** A host made up: what a plugin's imports answer. There is one; `reset` makes it new. */

import { error } from '../errors.js';

/** What a test may set, and look at afterwards. */
export const host = {};

/** As if nothing had been done. */
export function reset() {
  Object.assign(host, {
    /** What the clock says, Unix milliseconds. */
    nowMs: 1_700_000_000_000n,
    /** The operator's settings. */
    settings: {},
    /** The schema that handles are to be written in, where it is not the plugin's own. */
    writeSchema: undefined,
    /** What was logged: level and message. */
    lines: [],
    /** What the sources that were opened are of, in order. */
    opened: [],
    /** Whether any launcher is granted. */
    granted: true,
    /** The programs that were prepared and not removed, by their name. */
    programs: new Map(),
    /** Signals and commands that were given: the program's name and what. */
    signals: [],
    commands: [],
    /** What services answer, by `METHOD /path`: the status, and a body that becomes JSON. */
    answers: {},
    /** What services were asked: method, path, body. */
    asked: [],
    /** Ops that had their effect. */
    done: new Set(),
  });
  return host;
}

reset();

/** A source, and a note of what it is of. */
export function source(of) {
  host.opened.push(of);
  return { source: of };
}

/** A program ends, as a test wants it. */
export function end(ref, code, signal) {
  program(ref).state = { tag: 'exited', val: { code, signal, atMs: host.nowMs } };
}

/** The program of this name. */
export function program(ref) {
  const found = host.programs.get(ref);
  if (!found) throw error('not-found', 'no-process', `there is no process ${ref}`);
  return found;
}

/** Whether an op comes for the first time. */
export function isFirst(op) {
  const is = !host.done.has(op.id);
  host.done.add(op.id);
  return is;
}
