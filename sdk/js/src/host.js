/**
 * The way to the host. The module of a plugin's kind fills it in, since it is an error to import what the kind may not have;
 * tests put a stand-in there.
 */
export const host = {
  /** Queues a log line. */
  write: null,
  /** Sends a request: a promise of the answer. */
  send: null,
  /** A promise for in so many milliseconds. */
  wait: null,
  /** Milliseconds since 1970. */
  now: () => Date.now(),
};

/** Milliseconds since 1970. */
export function now() {
  return host.now();
}

/** The plugin's options: one member for each that has a value or a default. */
export function options(configJson) {
  const parsed = JSON.parse(configJson);
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) {
    throw new TypeError("the configuration is not a JSON object");
  }
  return parsed;
}
