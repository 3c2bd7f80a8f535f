import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeLog, MAX_GONE } from "../src/changelog.js";
import { Head, pack, unpack } from "../src/filter.js";
import { bytes, Denied, log, now, text } from "../src/index.js";
import { exportRegistry, http, sleep } from "../src/registry.js";
import { MockHost } from "../src/testing.js";

const greeter = (...ids) => [{ name: "greeter", version: "1", nodes: ids.map((id) => ({ id, address: "127.0.0.1:1" })) }];
const names = (batch) => batch.entries.map((it) => it.name);

test("no cursor and foreign cursors are a resync", async () => {
  const host = new MockHost();
  const changes = new ChangeLog();
  changes.update([["greeter", greeter("a")]]);
  const foreign = new ChangeLog().cursor();
  for (const after of [null, "", "nonsense", foreign, changes.cursor() + "9", "-".repeat(50)]) {
    const batch = await host.run(changes.changes(null, after, 5000));
    assert.ok(batch.resync, after);
    assert.deepEqual(names(batch), ["greeter"]);
  }
});

test("a change is reported once with everything under its name", async () => {
  const host = new MockHost();
  const changes = new ChangeLog();
  changes.update([["greeter", greeter("a")], ["other", [{ name: "other" }]]]);
  const start = changes.cursor();
  changes.update([["greeter", greeter("a", "b")], ["other", [{ name: "other" }]]]);
  const batch = await host.run(changes.changes(null, start, 5000));
  assert.ok(!batch.resync);
  assert.deepEqual(batch.entries, [{ name: "greeter", services: greeter("a", "b") }]);
  assert.deepEqual(names(await host.run(changes.changes("other", start, 0))), []);
  changes.update([["other", [{ name: "other" }]]]);
  const gone = await host.run(changes.changes(null, batch.cursor, 5000));
  assert.deepEqual(gone.entries, [{ name: "greeter", services: [] }]);
});

test("a waiting call hears of a change, and nothing new takes as long as was asked for", async () => {
  const host = new MockHost();
  const changes = new ChangeLog();
  const before = now();
  await host.run(changes.changes(null, changes.cursor(), 3000));
  assert.equal(now() - before, 3000);
  const change = async () => {
    await sleep(1000);
    changes.update([["greeter", greeter("a")]]);
  };
  const batch = await host.run(changes.changes("greeter", changes.cursor(), 5000), change());
  assert.deepEqual(names(batch), ["greeter"]);
  assert.ok(now() - before < 4500);
});

test("names that are gone are not remembered for ever", async () => {
  const host = new MockHost();
  const changes = new ChangeLog();
  const start = changes.cursor();
  changes.update(Array.from({ length: MAX_GONE + 10 }, (_, at) => [`s${at}`, [{ name: `s${at}` }]]));
  changes.update([]);
  assert.ok((await host.run(changes.changes(null, start, 0))).resync);
  assert.ok(!(await host.run(changes.changes(null, changes.cursor(), 0))).resync);
});

test("requests go to the stand-in", async () => {
  const host = new MockHost();
  await assert.rejects(http(host.call(), "GET", "http://a/"), Denied);
  host.answer = () => ({ status: 200, headers: [["x-a", bytes("1")]], body: bytes('{"b":2}') });
  const answer = await host.run(http(host.call(), "PUT", "http://a/", { json: { c: 3 } }));
  assert.deepEqual([answer.status, answer.header("X-A"), answer.json()], [200, "1", { b: 2 }]);
  assert.equal(text(host.requests.at(-1).body), '{"c":3}');
  log.info("hello", { number: 1 });
  assert.deepEqual(host.logged, [["info", "hello", { number: "1" }]]);
});

test("an exported registry answers errors in the contract's form", async () => {
  class Strict {
    constructor(_, options) {
      if (options.wrong) throw new Denied("wrong");
    }
    async listServices() {
      throw new Denied("no");
    }
    async getService() {
      return { services: greeter("a") };
    }
  }
  new MockHost();
  const { lifecycle, registry } = exportRegistry(Strict);
  const call = { timeoutMs: 1000, requestId: 1, traceparent: null };
  await assert.rejects(lifecycle.configure(call, {}, "[]"), (error) => error.tag === "invalid");
  await assert.rejects(lifecycle.configure(call, {}, '{"wrong":1}'), { tag: "denied", val: "wrong" });
  await lifecycle.configure(call, {}, "{}");
  await assert.rejects(registry.listServices(call, []), { tag: "denied", val: "no" });
  const snapshot = await registry.getService(call, "greeter", []);
  assert.deepEqual([snapshot.cursor, snapshot.services[0].nodes[0].status], [null, "passing"]);
});

test("packed heads are read back, and bytes are text where they are", () => {
  const head = new Head("GET", "/a?b", "example.org", [["X-A", bytes("1")], ["x-a", Uint8Array.of(255)]]);
  const packed = pack(head);
  assert.deepEqual(unpack(packed, [""]), head);
  assert.equal(head.get("x-A"), "1");
  assert.throws(() => unpack(packed.slice(0, -1), [""]), RangeError);
  assert.throws(() => unpack(Uint8Array.from([...packed, 7, 0]), [""]), RangeError);
  assert.equal(text(bytes("ü€😀")), "ü€😀");
  assert.equal(text(Uint8Array.of(0xc3)), null);
  const long = "a".repeat(10_000);
  assert.equal(text(bytes(long)), long);
  assert.equal(text(bytes(`${long}ü`)), `${long}ü`);
});
