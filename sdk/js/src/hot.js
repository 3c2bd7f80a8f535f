/**
 * What the kinds share that run for each request: selector, codec, filter. Their functions are synchronous and pure: no
 * waiting, no files, no network. Each thread of the host has an instance of its own, made when it is first needed and thrown
 * away without notice. A call that computes for more than 10 ms of processor time is ended, and its instance with it.
 */
import hostLog from "micro:hot/log@0.1.0";
import { PluginError } from "./errors.js";
import { host, options } from "./host.js";

host.write ??= (level, message, fields) => hostLog.write(level, message, fields);

/** The life cycle of a hot plugin. `start` gets the context and the options. */
export function hotLifecycle(start) {
  return {
    configure(context, configJson) {
      try {
        start(context, options(configJson));
      } catch (error) {
        // The contract's error is a text; what was not meant as one ends the instance.
        throw error instanceof PluginError ? error.message : error;
      }
    },
  };
}
