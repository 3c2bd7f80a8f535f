import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { StaticRegistry } from "../plugin.js";
import { Invalid } from "../vendor/micro-sdk/src/index.js";
import { sleep } from "../vendor/micro-sdk/src/registry.js";
import { MockHost } from "../vendor/micro-sdk/src/testing.js";

let host, registry;

beforeEach(() => {
  host = new MockHost();
  registry = host.start(StaticRegistry, { nodes: ["mail=127.0.0.1:25", "mail=127.0.0.2:25"] });
});

function greeter(id = "greeter-1", version = "1") {
  const node = {
    id,
    address: "127.0.0.1:9090",
    metadata: { protocol: "mucp" },
    status: "passing",
    zone: "eu-1",
    tags: ["blue"],
  };
  const endpoint = { name: "Say.Hello", requestJson: '{"name":"Request"}', responseJson: "null", metadata: {} };
  return { name: "greeter", version, metadata: { owner: "me" }, endpoints: [endpoint], nodes: [node] };
}

const get = async (name) => (await registry.getService(host.call(), name)).services;
const ids = (services) => services.flatMap((it) => it.nodes.map((node) => node.id));

test("what is listed and what is registered is found", async () => {
  assert.deepEqual(await registry.listServices(host.call()), ["mail"]);
  for (let beat = 0; beat < 2; beat += 1) await registry.register(host.call(), greeter(), 30_000);
  assert.deepEqual((await registry.listServices(host.call())).sort(), ["greeter", "mail"]);
  assert.deepEqual(await get("greeter"), [greeter()]);
  assert.deepEqual((await get("mail"))[0].nodes.map((it) => it.address), ["127.0.0.1:25", "127.0.0.2:25"]);
  assert.deepEqual(await get("unknown"), []);
});

test("nodes of one version are one service", async () => {
  for (const service of [greeter("a"), greeter("b"), greeter("c", "2")]) {
    await registry.register(host.call(), service, 30_000);
  }
  assert.deepEqual((await get("greeter")).map((it) => [it.version, ids([it])]), [["1", ["a", "b"]], ["2", ["c"]]]);
  await registry.deregister(host.call(), greeter("a"));
  await registry.deregister(host.call(), greeter("unknown"));
  assert.deepEqual(ids(await get("greeter")), ["b", "c"]);
});

test("nodes are gone when their time is over", async () => {
  await registry.register(host.call(), greeter("a"), 30_000);
  await registry.register(host.call(), greeter("b"), 0);
  host.advance(30_000);
  assert.deepEqual(ids(await get("greeter")), ["b"]);
});

test("changes are heard while waiting", async () => {
  const first = await registry.changes(host.call(), null, null, 5000);
  assert.deepEqual([first.resync, first.entries.map((it) => it.name)], [true, ["mail"]]);
  const later = async () => {
    await sleep(1000);
    await registry.register(host.call(), greeter(), 2000);
  };
  const seen = await host.run(registry.changes(host.call(), null, first.cursor, 5000), later());
  assert.deepEqual(seen.entries, [{ name: "greeter", services: [greeter()] }]);
  const expired = await host.run(registry.changes(host.call(), "greeter", seen.cursor, 5000));
  assert.deepEqual(expired.entries, [{ name: "greeter", services: [] }]);
});

test("wrong options say what is wrong", () => {
  for (const text of ["", "mail", "=127.0.0.1:25", "mail=127.0.0.1", "a b=c:1"]) {
    assert.throws(() => host.start(StaticRegistry, { nodes: [text] }), Invalid, text);
  }
});
