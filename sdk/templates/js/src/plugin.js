/**
 * The backend `{{name}}`: programs as processes of the machine.
 *
 * Each call is one call of the import `process`, and the handle is the name the host gave the process.
 */

import * as process from 'fleet:host/process@0.1.0';

import { exported, invalid, orGone, readConfig, readHandle, writeHandle } from '../sdk/index.js';
import * as processes from '../sdk/processes.js';

const NOTE = 'made by {{name}}';

const VERSION = '0.1.0';

/** The number of the handle's format: raise it when the format changes. */
const SCHEMA = 1;

/** What a workload may say in its [config]; `DEFAULTS` has the same keys. */
const CONFIG_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    nice: {
      description: 'How far it stands back for other programs.',
      type: 'integer',
      minimum: 0,
      maximum: 19,
      default: 0,
    },
  },
};
const DEFAULTS = { nice: 0 };

/** The host's name for the process. */
const ref = (handle) => readHandle(handle, SCHEMA, ['process']).process;
const handleOf = (ref) => writeHandle(SCHEMA, { process: ref });

/** @type {import('../sdk/contract.js').Driver} */
export const driver = exported({
  describe() {
    const configSchema = JSON.stringify(CONFIG_SCHEMA);
    return { name: '{{name}}', version: VERSION, handleSchema: SCHEMA, reads: [SCHEMA], configSchema, attributes: [] };
  },

  fingerprint: () => processes.facilities(),

  create(op, { id, command, env, config }) {
    const { nice } = readConfig(config, DEFAULTS);
    if (command.length === 0) {
      throw invalid('command-missing', 'there is no program to run: put one after `--`');
    }
    const words = ['nice', '-n', String(nice), ...command];
    const request = { launcher: '{{name}}', workload: id, command: words, env, attributes: [] };
    const prepared = process.prepare(op, request);
    return processes.created(handleOf(prepared.ref), prepared);
  },

  start(op, handle) {
    processes.start(op, ref(handle));
    return handle;
  },

  stop(op, handle, signal) {
    orGone(() => process.signal(op, ref(handle), signal));
    return handle;
  },

  kill(op, handle) {
    orGone(() => process.kill(op, ref(handle)));
    return handle;
  },

  destroy(op, handle) {
    orGone(() => process.remove(op, ref(handle)));
  },

  inspect(handle) {
    const seen = processes.observe(ref(handle));
    return { ...seen, attributes: [...seen.attributes, ['note', NOTE]] };
  },

  recover: (handles) => processes.observeEach(handles, driver.inspect),

  list: (page) => processes.listing(page, handleOf),

  watch: (handle) => processes.end(ref(handle)),
});

/** @type {import('../sdk/contract.js').Logs} */
export const logs = exported({
  open: (handle, options) => processes.output(ref(handle), options),
});
