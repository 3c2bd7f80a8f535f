/**
 * @name@: calls with the same shard key go to the same node.
 *
 * Rendezvous hashing: each node has a score for the key, and the highest wins. When a node comes or goes, only the keys that
 * it wins or won move. Calls without a key have a random one, so they are spread.
 */
import { exportSelector } from "./vendor/micro-sdk/src/selector.js";

export class Rendezvous {
  #sets = new Map();

  setCandidates(set, candidates) {
    if (candidates.length === 0) {
      this.#sets.delete(set);
      return;
    }
    this.#sets.set(set, candidates.map(({ id, weight }) => ({ seed: mix(id), weight })));
  }

  pick(set, sequence, key, avoid) {
    const members = this.#sets.get(set) ?? [];
    const bits = mix(key >>> 0) ^ mix(Math.floor(key / 2 ** 32) >>> 0);
    let best = null;
    members.forEach((member, at) => {
      if (avoid.includes(at)) return;
      // Nodes of weight 0 only if there is nobody else.
      const score = member.weight > 0 ? member.weight / -Math.log(uniform(bits, member.seed)) : uniform(bits, member.seed) - 1;
      if (best === null || score > best.score) best = { at, score };
    });
    return best?.at ?? null;
  }
}

/** Between 0 and 1, neither of them. */
function uniform(bits, seed) {
  return ((mix(bits ^ seed) >>> 0) + 0.5) / 2 ** 32;
}

/** Spreads the bits of a number of 32 bits (the finaliser of MurmurHash3). */
export function mix(number) {
  let bits = number + 0x9e3779b9;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

export const { lifecycle, selector } = exportSelector(Rendezvous);
