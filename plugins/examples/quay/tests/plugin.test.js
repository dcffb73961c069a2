/** What the plugin asks of berth and makes of its answers: `npm test`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host, op, reset, workload } from '../sdk/testing/index.js';
import { driver } from '../src/plugin.js';

const SHIP = 's000000000000000000000001';
const NAME = 'wl_00000000000000000000000001.1.1';

function moored() {
  reset().answers[`PUT /r2/ships/${NAME}`] = [201, { ship: SHIP }];
  return driver.create(op('create'), workload({ command: ['true'], env: [['A', '1']] })).val.handle;
}

test('a ship is laid on with its program', () => {
  moored();
  assert.deepEqual(host.asked, [{ method: 'PUT', path: `/r2/ships/${NAME}`, body: { argv: ['true'], vars: { A: '1' } } }]);
});

test('one whose answer got lost is found again', () => {
  const again = { ships: [{ ship: SHIP, name: NAME, marks: {} }] };
  Object.assign(reset().answers, {
    [`PUT /r2/ships/${NAME}`]: [409, { problem: 'taken' }],
    'GET /r2/ships': [200, again],
    [`GET /r2/ships/${SHIP}`]: [200, { ship: SHIP }],
  });
  assert.equal(driver.create(op('create'), workload()).tag, 'ready');
});

test('each phase is a state', () => {
  const handle = moored();
  for (const [answer, want] of [
    [[200, { phase: 'moored' }], { tag: 'created' }],
    [[200, { phase: 'sailing', since: 5 }], { tag: 'running' }],
    [[200, { phase: 'ashore', code: 3, since: 5, until: 7 }], { tag: 'exited', val: { code: 3, signal: undefined, atMs: 7n } }],
    [[404, { problem: 'no ship' }], { tag: 'lost', val: 'berth does not know the ship any more' }],
  ]) {
    host.answers[`GET /r2/ships/${SHIP}`] = answer;
    assert.deepEqual(driver.inspect(handle).state, want);
  }
});

test('what is over or gone need not be ended', () => {
  const handle = moored();
  for (const status of [204, 404, 409]) {
    host.answers[`POST /r2/ships/${SHIP}/hail`] = [status, status === 204 ? undefined : { problem: 'no' }];
    assert.equal(driver.stop(op('stop'), handle, 'TERM'), handle);
  }
});

test('a service that is not there is told with its reason', () => {
  reset().answers['GET /r2/about'] = [503, { problem: 'closed' }];
  assert.equal(driver.fingerprint().unusable, 'berth says: closed');
});
