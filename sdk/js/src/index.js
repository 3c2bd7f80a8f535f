/**
 * What plugins of Micro are written with in JavaScript.
 *
 * A plugin implements one class and exports it with one line at the end of its `plugin.js`:
 *
 *     export const { lifecycle, registry } = exportRegistry(MyRegistry);
 *
 * | module        | has                                                                      |
 * |---------------|--------------------------------------------------------------------------|
 * | `registry.js` | `exportRegistry`, `ChangeLog` for `changes`                              |
 * | `selector.js` | `exportSelector`                                                         |
 * | `codec.js`    | `exportCodec`                                                            |
 * | `filter.js`   | `exportFilter`, and the head of a request                                |
 * | `waiting.js`  | `http` and `sleep`; only where calls may wait (registry)                 |
 * | `index.js`    | what every kind uses: errors, `log`, `now`, text and bytes               |
 * | `testing.js`  | a host for tests, with `node --import …/loader.js --test`                |
 *
 * Import the module of the plugin's kind and no other: each imports what its kind may have of the host.
 *
 * A component has the language and nothing else: no `console`, `setTimeout`, `fetch`, `TextEncoder`, and no modules of
 * Node. `Math.random` begins anew with the same number in each instance.
 */
export * from "./errors.js";
export { bytes, text } from "./bytes.js";
export { log } from "./log.js";
export { now } from "./host.js";
