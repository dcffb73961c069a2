/**
 * A workload's `[config]` with its defaults.
 *
 * The host checks it against the plugin's schema when a workload is made; what is done here is to give it
 * defaults, and to refuse a key the plugin does not know.
 */

import { invalid } from './errors.js';

/**
 * `workload.config` as an object that has the keys of `defaults` and no others. A default of `undefined`
 * is an optional key; the type of any other is the type the value must have.
 *
 * Throws `invalid` (`config`) for what does not fit.
 */
export function readConfig(config, defaults) {
  const refuse = (why) => invalid('config', `[config] cannot be used: ${why}; see the backend's schema`);
  let told;
  try {
    told = JSON.parse(config);
  } catch (why) {
    throw refuse(why.message);
  }
  if (told === null || typeof told !== 'object' || Array.isArray(told)) throw refuse('it is no object');
  for (const [key, value] of Object.entries(told)) {
    if (!Object.hasOwn(defaults, key)) throw refuse(`there is no key \`${key}\``);
    const usual = defaults[key];
    if (usual !== undefined && typeof usual !== typeof value) throw refuse(`\`${key}\` must be a ${typeof usual}`);
  }
  return { ...defaults, ...told };
}
