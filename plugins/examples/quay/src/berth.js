/** Requests to berth and what it answers. */

import * as endpoint from 'fleet:host/endpoint@0.1.0';

import { error, isKind } from '../sdk/index.js';
import { mendSources } from '../sdk/sources.js';

mendSources(endpoint.open);

const ENDPOINT = 'berth';

const KINDS = { 400: 'invalid', 404: 'not-found', 409: 'conflict', 422: 'invalid' };

/** Asks under a rule that reads. */
export const get = (path, query) => read(endpoint.get(ENDPOINT, request('GET', path, { query })));

/** Asks under a rule that writes, for an op. */
export const send = (op, method, path, body) => read(endpoint.send(op, ENDPOINT, request(method, path, { body })));

/** Opens a stream that reads. */
export const open = (path, query, cursor) => endpoint.open(undefined, ENDPOINT, request('GET', path, { query, cursor }));

/**
 * Does it; fine with these statuses too. What berth or the host does not know any more is a 404.
 */
export function or(statuses, work) {
  try {
    return work();
  } catch (thrown) {
    if (statuses.includes(thrown.status) || (statuses.includes(404) && isGone(thrown))) return undefined;
    throw thrown;
  }
}

/** Whether it says that a ship is not there: berth does not know it, or the host does not own it any more. */
export function isGone(thrown) {
  const { code, details = [] } = thrown.payload ?? {};
  const isForeign = code === 'refused-by-rule' && details.some(([name, value]) => name === 'why' && value === 'not-owned');
  return isKind(thrown, 'not-found') || isForeign;
}

/**
 * @typedef {{ query?: object, body?: object, cursor?: string }} More
 * @type {(method: string, path: string, more?: More) => import('fleet:host/endpoint@0.1.0').Request}
 */
function request(method, path, { query = {}, body, cursor } = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== undefined);
  return {
    method,
    path,
    query: known.map(([key, value]) => [key, String(value)]),
    headers: [],
    body: body === undefined ? undefined : JSON.stringify(body),
    attributes: cursor === undefined ? [] : [['cursor', cursor]],
  };
}

function read({ status, body }) {
  const text = new TextDecoder().decode(body);
  const told = text === '' ? undefined : JSON.parse(text);
  if (status < 300) return told;
  const said = told?.problem ?? `status ${status}`;
  throw Object.assign(error(KINDS[status] ?? 'unavailable', 'berth', `berth says: ${said}`), { status });
}
