/**
 * The backend `quay`: programs as ships of berth, a runtime with an HTTP API.
 *
 * Each call is one request, and the handle is the ship's id. Where berth listens and what may be asked of it
 * is the operator's business: a policy (`policy.toml`) has a rule for each request that is made here.
 */

import { exported, invalid, pageOf, readConfig, readHandle, writeHandle } from '../sdk/index.js';
import * as berth from './berth.js';

const VERSION = '0.1.0';
const SCHEMA = 1;
const CONFIG_SCHEMA = { type: 'object', additionalProperties: false, properties: {} };

const ship = (handle) => readHandle(handle, SCHEMA, ['ship']).ship;
const handleOf = (ship) => writeHandle(SCHEMA, { ship });
const only = (state) => ({ state, startedAtMs: undefined, attributes: [] });

/** @type {import('../sdk/contract.js').Driver} */
export const driver = exported({
  describe() {
    const configSchema = JSON.stringify(CONFIG_SCHEMA);
    return { name: 'quay', version: VERSION, handleSchema: SCHEMA, reads: [SCHEMA], configSchema, attributes: [] };
  },

  fingerprint() {
    try {
      const { what, revision } = berth.get('/r2/about');
      return { unusable: undefined, attributes: [['service', `${what} ${revision}`]] };
    } catch (thrown) {
      // Not granted, or nobody there: its own words say what to do.
      if (thrown.payload) return { unusable: thrown.payload.message, attributes: [] };
      throw thrown;
    }
  },

  create(op, { id, command, env, config }) {
    readConfig(config, {});
    if (command.length === 0) {
      throw invalid('command-missing', 'there is no program to run: put one after `--`');
    }
    // The op's own name: berth refuses a second ship under it.
    const name = `${id}.${op.generation}.${op.attempt}`;
    const plan = { argv: command, vars: Object.fromEntries(env) };
    const made = berth.or([409], () => berth.send(op, 'PUT', `/r2/ships/${name}`, plan)) ?? adopted(op, name);
    return { tag: 'ready', val: { handle: handleOf(made.ship), killTarget: undefined } };
  },

  start(op, handle) {
    // 409: it has left before.
    berth.or([409], () => berth.send(op, 'POST', `/r2/ships/${ship(handle)}/sail`));
    return handle;
  },

  stop(op, handle, signal) {
    // 409: it does not sail, which is what was wanted.
    berth.or([404, 409], () => berth.send(op, 'POST', `/r2/ships/${ship(handle)}/hail`, { flag: signal }));
    return handle;
  },

  kill(op, handle) {
    return driver.stop(op, handle, 'KILL');
  },

  destroy(op, handle) {
    berth.or([404], () => berth.send(op, 'DELETE', `/r2/ships/${ship(handle)}`));
  },

  inspect(handle) {
    const told = look(ship(handle));
    return told ? observation(told) : only({ tag: 'lost', val: 'berth does not know the ship any more' });
  },

  recover(handles) {
    return handles.map((handle) => {
      try {
        return driver.inspect(handle);
      } catch (thrown) {
        return only({ tag: 'unknown', val: thrown.payload.message });
      }
    });
  },

  list(page) {
    const { entries, next } = pageOf(berth.get('/r2/ships').ships, page, (one) => one.ship);
    const listed = entries.map(({ ship, marks }) => {
      return { handle: handleOf(ship), workload: marks.workload, node: '', generation: BigInt(marks.generation) };
    });
    return { entries: listed, next };
  },

  watch: (handle) => berth.open(`/r2/ships/${ship(handle)}/bell`),
});

/** @type {import('../sdk/contract.js').Logs} */
export const logs = exported({
  open(handle, { follow, tail, sinceMs, cursor }) {
    // A cursor says where to go on by itself.
    const part = cursor === undefined ? { last: tail, since: sinceMs === undefined ? undefined : time(sinceMs) } : {};
    return berth.open(`/r2/ships/${ship(handle)}/journal`, { follow: follow ? 'yes' : 'no', ...part }, cursor);
  },
});

/** A ship of this name that this host laid on without hearing of it. */
function adopted(op, name) {
  const found = berth.get('/r2/ships').ships.find((one) => one.name === name);
  if (!found) throw invalid('name-taken', `a ship named ${name} lies there that is not this host's: break it up`);
  return berth.send(op, 'GET', `/r2/ships/${found.ship}`);
}

function look(id) {
  return berth.or([404], () => berth.get(`/r2/ships/${id}`));
}

function observation({ phase, code, flag, since, until }) {
  const startedAtMs = since === undefined ? undefined : BigInt(since);
  switch (phase) {
    case 'moored':
      return only({ tag: 'created' });
    case 'sailing':
      return { ...only({ tag: 'running' }), startedAtMs };
    case 'ashore':
      return { ...only({ tag: 'exited', val: { code, signal: flag ?? undefined, atMs: BigInt(until) } }), startedAtMs };
    default:
      return only({ tag: 'other', val: String(phase) });
  }
}

/** A time as berth reads it. */
function time(unixMs) {
  return new Date(Number(unixMs)).toISOString();
}
