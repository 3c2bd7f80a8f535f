import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Key } from "../plugin.js";
import { Head } from "../vendor/micro-sdk/src/filter.js";
import { bytes, Invalid } from "../vendor/micro-sdk/src/index.js";
import { MockHost } from "../vendor/micro-sdk/src/testing.js";

let host, filter;

beforeEach(() => {
  host = new MockHost();
  filter = host.start(Key, { header: "X-Api-Key", key: "secret" });
});

const ask = (...fields) => {
  const head = new Head("GET", "/", "example.org", fields.map(([name, value]) => [name, bytes(value)]));
  return filter.request("192.0.2.1", head);
};

test("the key lets through and is taken away", () => {
  const verdict = ask(["Accept", "*/*"], ["x-api-key", "secret"]);
  assert.equal(verdict.tag, "edit");
  assert.deepEqual(verdict.val.request.map((it) => [it.operation, it.name]), [["remove", "X-Api-Key"]]);
});

test("everything else is refused", () => {
  const key = ["X-Api-Key", "secret"];
  for (const fields of [[], [["X-Api-Key", ""]], [["X-Api-Key", "secre"]], [["X-Api-Key", "secrets"]], [key, key]]) {
    const verdict = ask(...fields);
    assert.deepEqual([verdict.tag, verdict.val.status], ["respond", 401]);
  }
});

test("an empty key is refused at start", () => {
  assert.throws(() => host.start(Key, { key: "" }), Invalid);
});
