/** The SDK without a component: `npm test` in this folder. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { writeSchema } from 'fleet:host/handles@0.1.0';
import * as process from 'fleet:host/process@0.1.0';

import { conflict, exported, invalid, notFound, orGone, pageOf, readConfig, readHandle, writeHandle } from '../index.js';
import { host, op, reset, table, workload } from '../testing/index.js';

const thrown = (work) => {
  try {
    work();
  } catch (error) {
    return error.payload;
  }
  return assert.fail('nothing was thrown');
};
const bytes = (text) => new TextEncoder().encode(text);

test('state reads back', () => {
  const handle = writeHandle(3, { process: 'a' });
  assert.equal(new TextDecoder().decode(handle.opaque), '{"process":"a"}');
  assert.deepEqual(readHandle(handle, 3, ['process']), { process: 'a' });
});

test('the format to write is what a test sets', () => {
  reset();
  assert.equal(writeSchema(), undefined);
  host.writeSchema = 2;
  assert.equal(writeSchema(), 2);
  reset();
});

const prepared = () => process.prepare(op('create'), { workload: workload().id, command: ['true'] }).ref;

test('an op has its effect once, and a program beside another runs', () => {
  reset();
  const ref = prepared();
  assert.equal(thrown(() => process.exec(op('exec', { call: 'a' }), ref, { command: ['id'] })).code, 'not-running');
  process.start(op('start'), ref);
  const exec = process.exec(op('exec', { call: 'a' }), ref, { command: ['id'] });
  assert.equal(process.exec(op('exec', { call: 'a' }), ref, { command: ['id'] }), exec);
  assert.deepEqual(process.inspectExec(exec), { tag: 'running' });
  process.resizeExec(exec, { columns: 80, rows: 24 });
  for (const verb of ['one', 'one', 'two']) process.signalExec(op(verb), exec, verb);
  const stop = op('stop');
  process.signal(stop, ref, 'TERM');
  process.signal(stop, ref, 'TERM');
  process.removeExec(op('remove'), exec);
  assert.deepEqual(host.signals, [[exec, 'one'], [exec, 'two'], [ref, 'TERM']]);
});

test('a row of a table has a host of its own', () => {
  const driver = {
    create: (op, { config }) => ({ tag: 'ready', val: { handle: process.prepare(op, { workload: config }).ref } }),
    inspect: () => ({ state: { tag: 'other' + host.programs.size + host.settings.depth } }),
  };
  const rows = [['one', { a: 1 }, 'create', 'other13'], ['two', { a: 2 }, 'create', 'other13']];
  table(driver, rows, (host) => (host.settings = { depth: 3 }));
});

test('another format, garbage and too much are told apart', () => {
  for (const [handle, kind, code] of [
    [{ schema: 2, opaque: bytes('{}') }, 'unsupported', 'handle-schema'],
    [{ schema: 1, opaque: new Uint8Array([255, 0]) }, 'internal', 'handle-unreadable'],
    [{ schema: 1, opaque: bytes('7') }, 'internal', 'handle-unreadable'],
    [{ schema: 1, opaque: bytes('{}') }, 'internal', 'handle-unreadable'],
  ]) {
    const error = thrown(() => readHandle(handle, 1, ['process']));
    assert.deepEqual([error.kind, error.code], [kind, code]);
  }
  assert.equal(thrown(() => writeHandle(1, { x: 'x'.repeat(65_536) })).code, 'handle-too-large');
});

test('a config has defaults and no unknown keys', () => {
  const defaults = { launcher: 'dev', nice: 0, note: undefined };
  assert.deepEqual(readConfig('{"nice":3}', defaults), { launcher: 'dev', nice: 3, note: undefined });
  for (const [text, want] of [
    ['{"depth":1}', 'no key `depth`'],
    ['{"nice":"3"}', '`nice` must be a number'],
    ['[]', 'no object'],
    ['{', 'cannot be used'],
  ]) {
    const error = thrown(() => readConfig(text, defaults));
    assert.deepEqual([error.kind, error.code], ['invalid', 'config']);
    assert.ok(error.message.includes(want), error.message);
  }
});

test('pages follow each other', () => {
  const seen = [];
  let page = { limit: 2 };
  do {
    const { entries, next } = pageOf([...'dbaec'], page, (entry) => entry);
    seen.push(...entries);
    page = { cursor: next, limit: 2 };
  } while (page.cursor !== undefined);
  assert.deepEqual(seen, [...'abcde']);
});

test('what is gone is fine and nothing else', () => {
  const fail = (error) => () => {
    throw error;
  };
  assert.equal(orGone(fail(notFound('a', 'b'))), undefined);
  assert.equal(thrown(() => orGone(fail(conflict('a', 'b')))).kind, 'conflict');
});

test('a bug is told with its message, an error as it is', () => {
  const face = exported({
    bug: () => missing(),
    refuses: () => {
      throw invalid('no', 'no');
    },
    adds: (a, b) => a + b,
  });
  assert.equal(face.adds(1, 2), 3);
  assert.equal(thrown(() => face.refuses()).code, 'no');
  const bug = thrown(() => face.bug());
  assert.deepEqual([bug.kind, bug.code], ['internal', 'exception']);
  assert.match(bug.message, /bug threw ReferenceError: missing is not defined \(.*sdk\.test\.js:/);
});
