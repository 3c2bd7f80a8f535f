/**
 * @name@: services from a list in the options, for programs that register nowhere, and whatever the same process registers.
 *
 * | option  | is                                                    |
 * |---------|-------------------------------------------------------|
 * | `nodes` | nodes that are always there, each as `NAME=HOST:PORT` |
 *
 * What is registered is kept in memory: it is for calls within one process. Other processes see the list.
 */
import { Invalid, log, now } from "./vendor/micro-sdk/src/index.js";
import { ChangeLog, exportRegistry } from "./vendor/micro-sdk/src/registry.js";

/** Nodes that may be registered at the same time: whoever registers decides their number. */
const MAX_NODES = 10_000;

export class StaticRegistry {
  #changelog = new ChangeLog();
  #listed;
  /** Node id to `{ service, node, expires }`; `expires` is Infinity for those that stay. */
  #registered = new Map();

  constructor(context, { nodes = [] }) {
    this.#listed = nodes.map(listed);
    log.info("services are in a list", { nodes: nodes.length });
  }

  async register(call, service, ttlMs) {
    const expires = ttlMs > 0 ? now() + ttlMs : Infinity;
    this.#forget();
    if (this.#registered.size + service.nodes.length > MAX_NODES) {
      throw new Invalid(`more than ${MAX_NODES} nodes`);
    }
    for (const node of service.nodes) {
      this.#registered.set(node.id, { service: { ...service, nodes: [] }, node, expires });
    }
  }

  async deregister(call, service) {
    for (const node of service.nodes) this.#registered.delete(node.id);
  }

  async getService(call, name) {
    this.#changelog.update(this.#state());
    return { services: this.#changelog.services(name), cursor: this.#changelog.cursor() };
  }

  async listServices() {
    return [...this.#state().keys()];
  }

  async changes(call, name, after, waitMs) {
    return this.#changelog.changes(name, after, waitMs, async () => this.#state());
  }

  #forget() {
    for (const [id, { expires }] of this.#registered) {
      if (expires <= now()) this.#registered.delete(id);
    }
  }

  /** All services by name: one for each version, with all its nodes. */
  #state() {
    this.#forget();
    const names = new Map();
    for (const { service, node } of [...this.#listed, ...this.#registered.values()]) {
      const versions = names.get(service.name) ?? new Map();
      const known = versions.get(service.version);
      versions.set(service.version, { ...service, nodes: [...(known?.nodes ?? []), node] });
      names.set(service.name, versions);
    }
    return new Map([...names].map(([name, versions]) => [name, [...versions.values()]]));
  }
}

function listed(text) {
  const [, name, address] = /^([^=\s]+)=([^=\s]+:\d+)$/.exec(text) ?? [];
  if (!name) throw new Invalid(`option nodes: ${JSON.stringify(text)} is not NAME=HOST:PORT`);
  const node = { id: `${name}-${address}`, address, metadata: {}, status: "passing", zone: null, tags: [] };
  return { service: { name, version: "", metadata: {}, endpoints: [] }, node };
}

export const { lifecycle, registry } = exportRegistry(StaticRegistry);
