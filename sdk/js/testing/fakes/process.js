/** Programs that are only written down: says yes to everything that is granted, and remembers it. */

import { error } from '../../errors.js';
import { end, host, isFirst, program, source } from '../host.js';

const PID = 4711;

export function facilities() {
  check();
  return [['isolation', 'fake']];
}

export function prepare(op, request) {
  check();
  const ref = `${request.workload}/${op.generation}.${op.attempt}`;
  if (!host.programs.has(ref)) {
    host.programs.set(ref, { ref, request, generation: op.generation, state: { tag: 'prepared' } });
  }
  return { ref, killTarget: undefined };
}

export function start(op, ref) {
  const it = program(ref);
  if (it.state.tag === 'prepared') Object.assign(it, { state: { tag: 'running' }, startedAtMs: host.nowMs });
  return inspect(ref);
}

export function signal(op, ref, name) {
  running(ref);
  if (isFirst(op)) host.signals.push([ref, name]);
}

export function send(op, ref, bytes) {
  program(ref);
  if (isFirst(op)) host.commands.push([ref, bytes]);
}

export function kill(op, ref) {
  if (program(ref).state.tag !== 'exited') end(ref, 137, 'KILL');
}

export function inspect(ref) {
  const { state, startedAtMs } = program(ref);
  return { state, pid: startedAtMs === undefined ? undefined : PID, startedAtMs, attributes: [] };
}

export function remove(op, ref) {
  program(ref);
  host.programs.delete(ref);
}

export function list({ cursor = '', limit }) {
  const rest = [...host.programs.keys()].filter((ref) => ref > cursor).sort();
  const part = rest.slice(0, limit);
  const entries = part.map((ref) => {
    const { request, generation } = program(ref);
    return { ref, workload: request.workload, generation };
  });
  return { entries, next: rest.length > part.length ? part.at(-1) : undefined };
}

/** Begins a program beside it, which runs for ever. */
export function exec(op, ref, request) {
  running(ref);
  return `${ref}/${op.call}`;
}

export const inspectExec = () => ({ tag: 'running' });

export function resizeExec() {}

export function signalExec(op, exec, name) {
  if (isFirst(op)) host.signals.push([exec, name]);
}

export function removeExec() {}

export function usage(ref) {
  running(ref);
  return { cpuUs: 1_000n, memoryBytes: 4_096n, processes: 1, attributes: [] };
}

export function open(ref, stream) {
  program(ref);
  return source({ ref, stream });
}

function check() {
  if (!host.granted) throw error('denied', 'not-granted', 'it is not granted `process`');
}

function running(ref) {
  if (program(ref).state.tag !== 'running') throw error('not-found', 'not-running', `${ref} does not run`);
}
