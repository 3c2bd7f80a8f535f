import { now } from "./host.js";
import { sleep } from "./waiting.js";

/** How often a waiting call looks, in milliseconds: calls of an instance cannot wake each other. */
export const POLL_MS = 100;
/** Names that are gone and still remembered, so that they can be reported. Above it, old cursors get a resync. */
export const MAX_GONE = 10_000;

/**
 * What changed since when: the cursors and the waiting of `changes`.
 *
 * Give it the whole state with `update` whenever it may have changed. A cursor is good for the log that made it: on another
 * instance, or after a restart, it is answered with a `resync`, as the contract wants it.
 */
export class ChangeLog {
  #epoch = epoch();
  #revision = 0;
  #oldest = 0;
  #state = new Map();
  /** Name to revision; the oldest come first. */
  #since = new Map();

  /** Takes the state of all names: `[name, services]` pairs or a Map. A name without services is gone. */
  update(records) {
    const fresh = new Map([...records].filter(([, services]) => services.length > 0));
    for (const name of new Set([...this.#state.keys(), ...fresh.keys()])) {
      if (JSON.stringify(this.#state.get(name)) === JSON.stringify(fresh.get(name))) continue;
      this.#revision += 1;
      this.#since.delete(name);
      this.#since.set(name, this.#revision);
    }
    this.#state = fresh;
    this.#forget();
  }

  /** Where `changes` can start so that nothing is missed that comes after now. */
  cursor() {
    return `${this.#epoch}-${this.#revision}`;
  }

  /** All versions of one service; empty when it is unknown. */
  services(name) {
    return this.#state.get(name) ?? [];
  }

  /** The names of all services. */
  names() {
    return [...this.#state.keys()];
  }

  /**
   * The answer to `changes`: at the first change, or unchanged after `waitMs`. `refresh` reads the state from where others
   * may change it, at once and then every `everyMs`; without it somebody else calls `update`.
   */
  async changes(name, after, waitMs, refresh = null, everyMs = POLL_MS) {
    const end = now() + waitMs;
    for (;;) {
      if (refresh) this.update(await refresh());
      const batch = this.#after(name, after);
      const left = end - now();
      if (batch) return batch;
      if (left <= 0) return { cursor: this.cursor(), resync: false, entries: [] };
      await sleep(Math.min(left, everyMs));
    }
  }

  #after(name, after) {
    const entries = (names) => names.map((it) => ({ name: it, services: this.services(it) }));
    const revision = this.#known(after);
    if (revision === null) {
      const wanted = name === null ? this.names() : this.#state.has(name) ? [name] : [];
      return { cursor: this.cursor(), resync: true, entries: entries(wanted) };
    }
    const changed = [...this.#since].filter(([it, since]) => since > revision && (name === null || name === it));
    if (changed.length === 0) return null;
    return { cursor: this.cursor(), resync: false, entries: entries(changed.map(([it]) => it)) };
  }

  /** The revision that a cursor of this log stands for; null where it is no longer good. */
  #known(cursor) {
    const [, own, revision] = /^([0-9a-z]+)-(\d{1,15})$/.exec(cursor ?? "") ?? [];
    if (own !== this.#epoch) return null;
    const number = Number(revision);
    return number >= this.#oldest && number <= this.#revision ? number : null;
  }

  #forget() {
    const gone = [...this.#since.keys()].filter((name) => !this.#state.has(name));
    for (const name of gone.slice(0, Math.max(0, gone.length - MAX_GONE))) {
      this.#oldest = Math.max(this.#oldest, this.#since.get(name));
      this.#since.delete(name);
    }
  }
}

let made = 0;

/** Different for each log: `Math.random` alone begins anew with the same number in each instance. */
function epoch() {
  made += 1;
  const fraction = Math.floor(((performance.now() * 1000) % 1000) + Math.random() * 1e9);
  return Date.now().toString(36) + fraction.toString(36) + made.toString(36);
}
