/**
 * Plugins tested by plain Node: fakes of all imports, and a harness for tables.
 *
 *     test('a workload lives', () => table(driver, [
 *       // what     [config]      steps                 what comes of it
 *       ['it runs', {},           'create start',       'running'],
 *       ['code 3',  {},           'create start end=3', 'exited 3'],
 *       ['a typo',  { lan: 1 },   'create',             'error invalid config'],
 *     ]));
 */

import assert from 'node:assert/strict';

import { end, host, reset } from './host.js';

export { end, host, reset };

const WORKLOAD = 'wl_00000000000000000000000001';

/** An op about the workload of these tests. */
export function op(verb, { generation = 1n, attempt = 1n, call = '' } = {}) {
  const item = `workload/${WORKLOAD}`;
  return { id: `${item}@${generation}.${attempt}:${verb}#${call}`, item, generation, attempt, verb, call };
}

/** The workload of these tests. */
export function workload({ command = ['true'], config = {}, env = [] } = {}) {
  return {
    id: WORKLOAD, name: 'test', node: 'nd_00000000000000000000000001', command, env, ports: [], labels: [],
    config: JSON.stringify(config), limits: { attributes: [] }, attributes: [],
  };
}

/**
 * Plays each row and compares what comes of it: name, `[config]`, steps, outcome.
 *
 * Steps: `create`, `start`, `stop`, `kill`, `destroy`, and `end=CODE`, which ends the program by itself. Each
 * that changes something is done twice with the same op, and must answer the same. Outcomes: `created`,
 * `running`, `exited CODE`, `lost`, `unknown`, `gone` (after `destroy`), or `error KIND CODE` of the first
 * step that fails. `before` sets the host up for a row.
 */
export function table(driver, rows, before = () => {}) {
  const came = rows.map(([name, config, steps]) => {
    before(reset());
    return `${name}: ${play(driver, config, steps.split(' '))}`;
  });
  assert.deepEqual(came, rows.map(([name, , , want]) => `${name}: ${want}`));
}

function play(driver, config, steps) {
  let handle;
  try {
    for (const step of steps) {
      if (step.startsWith('end=')) {
        for (const ref of host.programs.keys()) end(ref, Number(step.slice('end='.length)));
      } else if (step === 'destroy') {
        twice(step, () => driver.destroy(op(step), handle));
        return 'gone';
      } else {
        handle = twice(step, () => done(driver, step, config, handle));
      }
    }
    return word(driver.inspect(handle).state);
  } catch (thrown) {
    if (!thrown.payload) throw thrown;
    return `error ${thrown.payload.kind} ${thrown.payload.code}`;
  }
}

function done(driver, step, config, handle) {
  if (step === 'create') {
    const made = driver.create(op(step), workload({ config }));
    assert.equal(made.tag, 'ready');
    return made.val.handle;
  }
  return step === 'stop' ? driver.stop(op(step), handle, 'TERM') : driver[step](op(step), handle);
}

function twice(step, work) {
  const first = work();
  assert.deepEqual(work(), first, `\`${step}\` again with the same op answers something else`);
  return first;
}

function word({ tag, val }) {
  return tag === 'exited' ? `exited ${val.code}` : tag;
}
