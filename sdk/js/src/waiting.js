/**
 * What plugins may use whose calls may wait. Calls of an instance run beside each other, and cannot wake each other: a call
 * that waits goes on when its own `sleep` or `http` is over.
 */
import promises from "micro:net/promises@0.1.0";
import hostLog from "micro:plugin/log@0.1.0";
import { bytes, text } from "./bytes.js";
import { fromWit, Invalid, Timeout, Unavailable } from "./errors.js";
import { host, now } from "./host.js";

host.write ??= (level, message, fields) => hostLog.write(level, message, fields);
host.wait ??= (ms) => promises.wait(ms).read();
host.send ??= (request, timeoutMs) => promises.send(request, timeoutMs, []).read();

/** Waits, at most ten minutes. Other calls go on meanwhile. */
export async function sleep(ms) {
  await host.wait(Math.max(0, Math.round(ms)));
}

/** What a call carries besides its arguments. */
export class Call {
  constructor(call, callOptions = []) {
    /** When the caller gives up, on the clock of `now`. */
    this.deadline = now() + call.timeoutMs;
    /** The W3C `traceparent` of the caller's span, or null. */
    this.traceparent = call.traceparent ?? null;
    /** The host's log lines about this call carry the same number. */
    this.requestId = call.requestId;
    /** Settings of this call alone. */
    this.options = Object.fromEntries(callOptions);
  }

  /** Milliseconds until the caller gives up. Throws `Timeout` when there are none. */
  left() {
    const left = this.deadline - now();
    if (left <= 0) throw new Timeout();
    return left;
  }
}

/** An answer with its whole body. No status is an error. */
export class Response {
  constructor({ status, headers = [], body = new Uint8Array() }) {
    this.status = status;
    this.headers = headers;
    this.body = body instanceof Uint8Array ? body : Uint8Array.from(body);
  }

  /** The first value under a name of any letter case; null as well if it is not text. */
  header(name) {
    const found = this.headers.find(([known]) => known.toLowerCase() === name.toLowerCase());
    return found ? text(found[1]) : null;
  }

  /** The body as JSON. Throws `Unavailable`: a server that answers something else is not in order. */
  json() {
    try {
      return JSON.parse(text(this.body) ?? "");
    } catch (error) {
      throw new Unavailable(`the answer is not JSON: ${error.message}`);
    }
  }
}

/**
 * Sends a request through the host and takes in the whole answer, at most 8 MiB, within the time that `call` has left.
 * Throws `Denied` (not granted), `Unavailable` (no connection, or it broke), `Timeout`, `Invalid`.
 */
export async function http(call, method, url, { headers = {}, body, json } = {}) {
  if (body !== undefined && json !== undefined) throw new Invalid("a request has either a body or JSON");
  const fields = Object.entries(headers).map(([name, value]) => [name, bytes(value)]);
  if (json !== undefined) fields.push(["content-type", bytes("application/json")]);
  const content = bytes(json === undefined ? (body ?? "") : JSON.stringify(json));
  const request = { method, url, headers: fields, body: content };
  let answer;
  try {
    answer = await host.send(request, Math.max(1, Math.round(call.left())));
  } catch (error) {
    throw fromWit(error);
  }
  // A result inside of a future stays a result.
  if (answer?.tag === "err") throw fromWit(answer.val);
  return new Response(answer?.tag === "ok" ? answer.val : answer);
}
