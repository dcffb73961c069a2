/** Services that answer what a test wrote down; what has no answer is refused, as a policy does. */

import { error } from '../../errors.js';
import { host, source } from '../host.js';

export const get = (endpoint, request) => answer(request);
export const send = (op, endpoint, request) => answer(request);

export function open(op, endpoint, request) {
  answer(request);
  return source({ method: request.method, path: request.path });
}

function answer({ method, path, body }) {
  host.asked.push({ method, path, body: body === undefined ? undefined : JSON.parse(body) });
  const found = host.answers[`${method} ${path}`];
  if (!found) throw error('denied', 'no-rule', `no rule allows ${method} ${path}`);
  const [status, told] = found;
  const bytes = new TextEncoder().encode(told === undefined ? '' : JSON.stringify(told));
  return { status, headers: [], body: bytes, attributes: [] };
}
