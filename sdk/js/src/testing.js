import { Denied } from "./errors.js";
import { host } from "./host.js";

/**
 * A host for tests: plugins run in Node, without a component. Its clock begins now and stands still until something waits
 * for it, or `advance` moves it.
 *
 *     const host = new MockHost();
 *     const registry = host.start(MyRegistry, { nodes: [] });
 *     assert.deepEqual(await host.run(registry.listServices(host.call())), []);
 */
export class MockHost {
  constructor() {
    /** `[level, message, fields]` of every log line. */
    this.logged = [];
    /** What was sent, in its order. */
    this.requests = [];
    /** Answers requests: `{ status, headers, body }`; may throw. Nothing is granted unless it is set. */
    this.answer = (request) => {
      throw new Denied(`${request.url} is not granted: set MockHost.answer`).toWit();
    };
    this.time = Date.now();
    this.sleepers = [];
    this.numbers = 0;
    host.now = () => this.time;
    host.write = (level, message, fields) => this.logged.push([level, message, Object.fromEntries(fields)]);
    host.wait = (ms) => new Promise((wake) => this.sleepers.push({ at: this.time + ms, wake }));
    host.send = async (request) => {
      this.requests.push(request);
      return this.answer(request);
    };
  }

  /** An instance of a plugin with these options, as `configure` makes it. Defaults of the manifest are not known here. */
  start(Plugin, options = {}) {
    return new Plugin({ plugin: "under-test", instance: 1, generation: 1, hostVersion: "0.1.0", names: [""] }, options);
  }

  /** The first argument of a call that the caller waits for so many milliseconds for. */
  call(timeoutMs = 5000) {
    this.numbers += 1;
    const deadline = this.time + timeoutMs;
    const left = () => deadline - this.time;
    return { deadline, traceparent: null, requestId: this.numbers, options: {}, left };
  }

  /** Moves the clock. What sleeps until then wakes up. */
  advance(ms) {
    this.time += ms;
    const due = this.sleepers.filter((it) => it.at <= this.time).sort((a, b) => a.at - b.at);
    this.sleepers = this.sleepers.filter((it) => it.at > this.time);
    for (const sleeper of due) sleeper.wake();
  }

  /**
   * Runs a call to its end, with others beside it. Whenever nothing can go on, the clock moves to the next time at which
   * something wakes up: a long poll takes no real time.
   */
  async run(main, ...beside) {
    let running = true;
    const all = Promise.all([main, ...beside]).finally(() => {
      running = false;
    });
    all.catch(() => {});
    while (running) {
      await new Promise(setImmediate);
      if (running && this.sleepers.length > 0) {
        this.advance(Math.min(...this.sleepers.map((it) => it.at)) - this.time);
      }
    }
    return (await all)[0];
  }
}
