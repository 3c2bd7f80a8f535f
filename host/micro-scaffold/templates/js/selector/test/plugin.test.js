import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { mix, Rendezvous } from "../plugin.js";
import { MockHost } from "../vendor/micro-sdk/src/testing.js";

let selector;

beforeEach(() => {
  selector = new MockHost().start(Rendezvous);
});

const member = (id, weight = 1000) => ({ id, weight, zone: null, metadata: {} });
const key = (number) => (mix(number) >>> 0) * 2 ** 21 + number;
const picks = (count, avoid = []) => Array.from({ length: count }, (_, at) => selector.pick(1, 0, key(at), avoid));
const times = (all, wanted) => all.filter((it) => it === wanted).length;

test("a key keeps its node when others come and go", () => {
  selector.setCandidates(1, [member(10), member(11), member(12)]);
  const before = picks(1000);
  assert.deepEqual(picks(1000), before);
  selector.setCandidates(1, [member(10), member(11), member(12), member(13)]);
  const moved = picks(1000).filter((at, index) => at !== before[index]);
  assert.ok(moved.every((at) => at === 3) && moved.length > 150 && moved.length < 350, String(moved.length));
});

test("keys are spread by weight", () => {
  selector.setCandidates(1, [member(1), member(2, 3000), member(3, 0)]);
  const all = picks(4000);
  const ratio = times(all, 1) / times(all, 0);
  assert.ok(times(all, 2) === 0 && ratio > 2.5 && ratio < 3.5, String(ratio));
});

test("nodes to avoid are avoided", () => {
  selector.setCandidates(1, [member(1), member(2), member(3, 0)]);
  assert.equal(times(picks(100, [0]), 1), 100);
  assert.equal(times(picks(100, [0, 1]), 2), 100);
  assert.equal(times(picks(100, [0, 1, 2]), null), 100);
});

test("a set that is gone has nobody", () => {
  selector.setCandidates(1, [member(1)]);
  selector.setCandidates(1, []);
  assert.deepEqual(picks(1), [null]);
});
