/**
 * @name@: lets through only requests that carry the key, and takes the key away before anybody else sees it.
 *
 * | option   | is                           |
 * |----------|------------------------------|
 * | `header` | the field that the key is in |
 * | `key`    | the key                      |
 */
import { bytes, Invalid } from "./vendor/micro-sdk/src/index.js";
import { edit, exportFilter, remove, respond } from "./vendor/micro-sdk/src/filter.js";

export class Key {
  #header;
  #key;

  constructor(context, { header = "X-Api-Key", key = "" }) {
    if (key === "") throw new Invalid("option key: an empty key would let everybody through");
    this.#header = header;
    this.#key = bytes(key);
  }

  request(peer, head) {
    const given = head.fields.filter(([name]) => name.toLowerCase() === this.#header.toLowerCase());
    if (given.length === 1 && same(given[0][1], this.#key)) return edit({ request: [remove(this.#header)] });
    return respond(401, `the field ${this.#header} must have the key\n`, { "Content-Type": "text/plain" });
  }
}

/** In a time that does not depend on how much of the key is right. */
function same(given, key) {
  let difference = given.length ^ key.length;
  for (let at = 0; at < key.length; at += 1) difference |= (given[at] ?? 0) ^ key[at];
  return difference === 0;
}

export const { lifecycle, filter } = exportFilter(Key);
