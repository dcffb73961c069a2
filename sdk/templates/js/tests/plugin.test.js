/** What the plugin decides, without a host: `npm test`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host, op, reset, table, workload } from '../sdk/testing/index.js';
import { driver } from '../src/plugin.js';

test("a workload's life", () => table(driver, [
  // what is tried       [config]       steps                      what comes of it
  ['it is made',         {},            'create',                  'created'],
  ['it runs',            {},            'create start',            'running'],
  ['it ends by itself',  {},            'create start end=3',      'exited 3'],
  ['it is ended',        {},            'create start kill',       'exited 137'],
  ['it ended before',    {},            'create start end=0 stop', 'exited 0'],
  ['it is removed',      {},            'create start destroy',    'gone'],
  ['a typo',             { nicer: 1 },  'create',                  'error invalid config'],
]));

test('what is run', () => {
  reset();
  driver.create(op('create'), workload({ command: ['sleep', '9'], config: { nice: 5 } }));
  const [{ request }] = host.programs.values();
  assert.deepEqual(request.command, ['nice', '-n', '5', 'sleep', '9']);
});

test('without a launcher it says so', () => {
  reset().granted = false;
  assert.match(driver.fingerprint().unusable, /not granted/);
});
