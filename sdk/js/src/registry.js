import { Invalid, thrown } from "./errors.js";
import { options } from "./host.js";
import { Call } from "./waiting.js";

export { ChangeLog } from "./changelog.js";
export { Call, http, Response, sleep } from "./waiting.js";

/**
 * Plugins of the kind `registry`: where services say that they exist, and where callers ask.
 *
 * The class gets `(context, options)` and has these methods. Each may throw the classes of `errors.js`; anything else
 * ends the instance. Records are as in `wit/deps/registry/registry.wit`, in camelCase, but for metadata, which is an object.
 *
 * | method                                    | does                                                          |
 * |-------------------------------------------|---------------------------------------------------------------|
 * | `register(call, service, ttlMs)`          | upsert, idempotent by node id; `ttlMs` 0: until deregistered  |
 * | `deregister(call, service)`               | removes the nodes by their ids; unknown ids are fine          |
 * | `getService(call, name)`                  | `{ services, cursor }`; unknown: no services                  |
 * | `listServices(call)`                      | names, each once                                              |
 * | `changes(call, name, after, waitMs)`      | long poll, see `ChangeLog`                                    |
 * | `health(call)`, `drain(reason, limitMs)`  | may be left out                                               |
 */
export function exportRegistry(Plugin) {
  let plugin;
  const answer = async (call) => {
    try {
      return await call();
    } catch (error) {
      throw thrown(error);
    }
  };
  const lifecycle = {
    configure: (c, context, configJson) =>
      answer(() => {
        let parsed;
        try {
          parsed = options(configJson);
        } catch (error) {
          throw new Invalid(error.message);
        }
        plugin = new Plugin(context, parsed);
      }),
    health: (c) => answer(() => plugin.health?.(new Call(c))),
    drain: async (reason, deadlineMs) => {
      await plugin?.drain?.(reason, deadlineMs);
    },
  };
  const registry = {
    register: (c, service, ttlMs, more) =>
      answer(async () => {
        await plugin.register(new Call(c, more), fromWitService(service), ttlMs);
      }),
    deregister: (c, service, more) =>
      answer(async () => {
        await plugin.deregister(new Call(c, more), fromWitService(service));
      }),
    getService: (c, name, more) =>
      answer(async () => {
        const { services, cursor = null } = await plugin.getService(new Call(c, more), name);
        return { services: services.map(toWitService), cursor };
      }),
    listServices: (c, more) => answer(async () => [...(await plugin.listServices(new Call(c, more)))]),
    changes: (c, name, after, waitMs, more) =>
      answer(async () => {
        const { cursor, resync, entries } = await plugin.changes(new Call(c, more), name, after, waitMs);
        const wit = entries.map((entry) => ({ name: entry.name, services: entry.services.map(toWitService) }));
        return { cursor, resync, entries: wit };
      }),
  };
  return { lifecycle, registry };
}

const object = (pairs) => Object.fromEntries(pairs);
const pairs = (metadata) => Object.entries(metadata ?? {});

function fromWitService(service) {
  return {
    ...service,
    metadata: object(service.metadata),
    endpoints: service.endpoints.map((it) => ({ ...it, metadata: object(it.metadata) })),
    nodes: service.nodes.map((it) => ({ ...it, metadata: object(it.metadata) })),
  };
}

function toWitService({ name, version = "", metadata, endpoints = [], nodes = [] }) {
  return {
    name,
    version,
    metadata: pairs(metadata),
    endpoints: endpoints.map((it) => ({
      name: it.name,
      requestJson: it.requestJson ?? "null",
      responseJson: it.responseJson ?? "null",
      metadata: pairs(it.metadata),
    })),
    nodes: nodes.map((it) => ({
      id: it.id,
      address: it.address,
      metadata: pairs(it.metadata),
      status: it.status ?? "passing",
      zone: it.zone ?? null,
      tags: it.tags ?? [],
    })),
  };
}
