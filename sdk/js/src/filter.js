import { bytes, text } from "./bytes.js";
import { hotLifecycle } from "./hot.js";

/**
 * Plugins of the kind `filter`: look at the head of each request before anybody else does. Filters fail closed: one that
 * throws, computes too long or answers nonsense refuses the request. The class gets `(context, options)` and has
 * `request(peer, head)`, which answers `next()`, `edit({ request, response })` or `respond(status, body, fields)`.
 */
export function exportFilter(Plugin) {
  let plugin;
  let names = [""];
  const lifecycle = hotLifecycle((context, options) => {
    names = context.names;
    plugin = new Plugin(context, options);
  });
  const filter = { request: (peer, packed) => plugin.request(peer, unpack(Uint8Array.from(packed), names)) };
  return { lifecycle, filter };
}

/** Nothing to say. */
export const next = () => ({ tag: "next" });

/** Go on with changes: lists of `set`, `append` and `remove`. */
export const edit = ({ request = [], response = [] }) => ({ tag: "edit", val: { request, response } });

/** A response in place of everything that comes after this filter. */
export const respond = (status, body = "", fields = {}) => {
  const pairs = Object.entries(fields).map(([name, value]) => [name, bytes(value)]);
  return { tag: "respond", val: { status, fields: pairs, body: bytes(body) } };
};

/** In place of all fields of that name. */
export const set = (name, value) => ({ operation: "set", name, value: bytes(value) });
/** Beside those that are there. */
export const append = (name, value) => ({ operation: "append", name, value: bytes(value) });
/** Takes away all fields of that name. */
export const remove = (name) => ({ operation: "remove", name, value: new Uint8Array() });

/** The head of a request. */
export class Head {
  constructor(method, target, host, fields = []) {
    this.method = method;
    /** As it was sent: path and query. */
    this.target = target;
    this.host = host;
    /** `[name, bytes]` pairs, in the order of the head. */
    this.fields = fields;
  }

  /** The first value under a name of any letter case; null as well if it is not text. */
  get(name) {
    const found = this.fields.find(([known]) => known.toLowerCase() === name.toLowerCase());
    return found ? text(found[1]) : null;
  }
}

/** Reads a packed head (`micro:wire/wire`): parts of the start line, then fields. Throws where it is cut short. */
export function unpack(packed, names) {
  let at = 0;
  const number = () => {
    if (at + 2 > packed.length) throw new RangeError("the head is cut short");
    at += 2;
    return packed[at - 2] | (packed[at - 1] << 8);
  };
  const part = () => {
    const length = number();
    if (at + length > packed.length) throw new RangeError("the head is cut short");
    at += length;
    return packed.slice(at - length, at);
  };
  const word = () => text(part()) ?? "\ufffd";
  const head = new Head(word(), word(), word());
  while (at < packed.length) {
    const id = number();
    if (id >= names.length) throw new RangeError(`the head has a name that this host has not told: ${id}`);
    head.fields.push([id === 0 ? word() : names[id], part()]);
  }
  return head;
}

/** The packed form of a head, with every name spelled out: for tests. */
export function pack(head) {
  const part = (data) => [data.length & 0xff, data.length >> 8, ...data];
  const start = [head.method, head.target, head.host].flatMap((it) => part(bytes(it)));
  const fields = head.fields.flatMap(([name, value]) => [0, 0, ...part(bytes(name)), ...part(bytes(value))]);
  return Uint8Array.from([...start, ...fields]);
}
