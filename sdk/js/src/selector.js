import { hotLifecycle } from "./hot.js";

/**
 * Plugins of the kind `selector`: which node gets the next call. The class gets `(context, options)` and has
 *
 * | method                               | does                                                                     |
 * |--------------------------------------|--------------------------------------------------------------------------|
 * | `setCandidates(set, candidates)`     | takes `{ id, weight, zone, metadata }`; an empty list: the set is gone   |
 * | `pick(set, sequence, key, avoid)`    | the position of a node; null if every position is in `avoid`             |
 *
 * Numbers of 64 bits arrive as Numbers: of a `key` above 2^53 the lowest bits are lost.
 */
export function exportSelector(Plugin) {
  let plugin;
  const lifecycle = hotLifecycle((context, options) => {
    plugin = new Plugin(context, options);
  });
  const selector = {
    setCandidates(set, candidates) {
      const known = candidates.map((it) => ({ ...it, metadata: Object.fromEntries(it.metadata) }));
      plugin.setCandidates(set, known);
    },
    pick: (set, sequence, key, avoid) => plugin.pick(set, sequence, key, avoid) ?? null,
  };
  return { lifecycle, selector };
}
