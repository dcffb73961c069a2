/** Finds the fakes under the contract's names. */

const NAME = /^fleet:host\/([a-z]+)@/;

export function resolve(specifier, context, next) {
  const found = NAME.exec(specifier);
  if (!found) return next(specifier, context);
  return { url: new URL(`./fakes/${found[1]}.js`, import.meta.url).href, shortCircuit: true };
}
