/**
 * Makes sources work, which an import opens and a plugin returns.
 *
 * componentize-js 0.23 writes no class for a resource without functions, and looks for one when an import
 * returns such a resource. The generated code lives in a realm of its own; any function imported from the
 * host leads there.
 */
export function mendSources(imported) {
  const realm = imported.constructor('return globalThis')();
  realm.import_sources_0_1_0$Source ??= class Source {};
}
