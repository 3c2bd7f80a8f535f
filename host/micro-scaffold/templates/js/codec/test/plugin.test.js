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
  for (const [role, sealed] of [
    ["request", head("")],
    ["request", head("17", "Say.Hello")],
    ["response", head("17", "Say.Hello", "no such name")],
    ["response", head(Uint8Array.of(255, 13), "\u00fc", "\t")],
  ]) {
    const [prefix, suffix] = codec.seal(codec.formats[0], role, sealed, value.length);
    const data = Uint8Array.from([...prefix, ...value, ...bytes(suffix)]);
    assert.deepEqual(codec.open(codec.formats[0], role, data), { ...sealed, value });
  }
});

test("what has no place is refused", () => {
  for (const [role, wrong] of [
    ["request", head("1\n")],
    ["request", head("1", "a\nb")],
    ["response", head("1", "a.b", "a\nb")],
    ["request", head("1", "a.b", "an error")],
  ]) {
    assert.throws(() => codec.seal(codec.formats[0], role, wrong, 0), { code: "unsupported" });
  }
});

test("other bytes are malformed", () => {
  const notText = [255, 10];
  for (const data of [
    bytes(""),
    bytes("lines/1"),
    bytes("lines/1\n1\na.b\n"),
    bytes("lines/2\n1\na.b\n\n{}"),
    bytes("1\na.b\n\n{}"),
    bytes("lines/1\r\n1\na.b\n\n{}"),
    Uint8Array.from([...bytes("lines/1\n1\n"), ...notText, 10]),
    Uint8Array.from([...bytes("lines/1\n1\na.b\n"), ...notText]),
  ]) {
    assert.throws(() => codec.open(codec.formats[0], "response", data), { code: "malformed" });
  }
  const failed = bytes("lines/1\n1\na.b\nan error\n");
  assert.throws(() => codec.open(codec.formats[0], "request", failed), { code: "malformed" });
});
