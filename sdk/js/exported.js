/**
 * The face of a plugin: its functions, with bugs told as bugs.
 *
 * What a function throws that is not an error of the contract would end the call with a trap whose message
 * does not say what it was. Here it becomes `internal` (`exception`) with the message and the place.
 */

import { internal } from './errors.js';

/** How many places of a stack are told. */
const MAX_PLACES = 3;

/** The same functions; export this. */
export function exported(functions) {
  const guarded = {};
  for (const [name, work] of Object.entries(functions)) {
    guarded[name] = (...given) => {
      try {
        return work.apply(functions, given);
      } catch (thrown) {
        throw thrown?.payload?.kind ? thrown : internal('exception', told(name, thrown));
      }
    };
  }
  return guarded;
}

function told(name, thrown) {
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const places = String(thrown?.stack ?? '').split('\n');
  const shown = places.filter((place) => place.includes('.js:') && !place.includes('exported.js'));
  const at = shown.slice(0, MAX_PLACES).map((place) => place.trim()).join(' < ');
  return `${name} threw ${what}${at ? ` (${at})` : ''}: mend the plugin`;
}
