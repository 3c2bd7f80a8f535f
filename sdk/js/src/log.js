import { host } from "./host.js";

function writer(level) {
  return (message, fields = {}) => {
    const texts = Object.entries(fields).map(([name, value]) => [name, String(value)]);
    host.write?.(level, String(message), texts);
  };
}

/** Log lines that reach the operator under the plugin's name: `log.info("hello", { who: "world" })`. */
export const log = {
  trace: writer("trace"),
  debug: writer("debug"),
  info: writer("info"),
  warn: writer("warn"),
  error: writer("error"),
};
