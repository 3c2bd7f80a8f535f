import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Lines } from "../plugin.js";
import { bytes } from "../vendor/micro-sdk/src/index.js";
import { MockHost } from "../vendor/micro-sdk/src/testing.js";

let codec;

beforeEach(() => {
  codec = new MockHost().start(Lines);
});

const head = (id, endpoint = "", error = "") => ({ id: bytes(id), endpoint, error });

test("what was sealed is opened", () => {
  const value = bytes('{"a":\n1}');
  for (const sealed of [head(""), head("17", "Say.Hello"), head("", "Say.Hello", "no such name"), head("1", "\u00fc")]) {
    const [prefix, suffix] = codec.seal(codec.formats[0], "response", sealed, value.length);
    const data = Uint8Array.from([...prefix, ...value, ...bytes(suffix)]);
    assert.deepEqual(codec.open(codec.formats[0], "response", data), { ...sealed, value });
  }
});

test("lines in an error are one, and what has no place is refused", () => {
  const [prefix] = codec.seal(codec.formats[0], "response", head("", "", "a\nb"), 0);
  assert.equal(codec.open(codec.formats[0], "response", prefix).error, "a b");
  for (const wrong of [head("1\n"), head("1", "a\nb")]) {
    assert.throws(() => codec.seal(codec.formats[0], "request", wrong, 0), { code: "unsupported" });
  }
});

test("other bytes are malformed", () => {
  for (const data of ["", "1", "1\n2\n3"].map(bytes).concat([Uint8Array.of(49, 10, 255, 10, 10)])) {
    assert.throws(() => codec.open(codec.formats[0], "request", data), { code: "malformed" });
  }
});
