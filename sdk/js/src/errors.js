/** What a call may fail with, by what the host can do about it. The texts are for operators. */
export class PluginError extends Error {
  /** @param {string} tag the case of the contract's variant */
  constructor(tag, reason = "") {
    super(reason);
    this.name = this.constructor.name;
    this.tag = tag;
  }

  /** As the contract has it. */
  toWit() {
    return { tag: this.tag, val: this.message };
  }
}

/** The thing that the call names does not exist. An unknown *service* is an empty answer, not an error. */
export class NotFound extends PluginError {
  constructor() {
    super("not-found");
  }

  toWit() {
    return { tag: this.tag };
  }
}

/** The host's policy or the backend refused. Does not heal by itself. */
export class Denied extends PluginError {
  constructor(reason) {
    super("denied", reason);
  }
}

/** The backend cannot be reached or is not able to answer. Another try, later, may work. */
export class Unavailable extends PluginError {
  /** @param {number} retryAfterMs the earliest time at which trying again makes sense; 0: no opinion */
  constructor(reason, retryAfterMs = 0) {
    super("unavailable", reason);
    this.retryAfterMs = retryAfterMs;
  }

  toWit() {
    return { tag: this.tag, val: { retryAfterMs: this.retryAfterMs, reason: this.message } };
  }
}

/** Somebody else changed the same thing. Read again before trying again. */
export class Conflict extends PluginError {
  constructor(reason) {
    super("conflict", reason);
  }
}

/** A wrong option or argument. Trying again does not help; in `configure` it ends the attempt for good. */
export class Invalid extends PluginError {
  constructor(reason) {
    super("invalid", reason);
  }
}

/** The call's time is over. The plugin is fine. */
export class Timeout extends PluginError {
  constructor() {
    super("timeout", "the call's time is over");
  }

  toWit() {
    return { tag: this.tag };
  }
}

/** Anything else. */
export class Other extends PluginError {
  constructor(reason) {
    super("other", reason);
  }
}

/** The error that a host's function answered; what is none of the contract's stays as it is. */
export function fromWit(error) {
  switch (error?.tag) {
    case "not-found":
      return new NotFound();
    case "denied":
      return new Denied(error.val);
    case "unavailable":
      return new Unavailable(error.val.reason, error.val.retryAfterMs);
    case "conflict":
      return new Conflict(error.val);
    case "invalid":
      return new Invalid(error.val);
    case "timeout":
      return new Timeout();
    case "other":
      return new Other(error.val);
    default:
      return error;
  }
}

/** What an export throws: errors of the contract in its form; anything else ends the instance. */
export function thrown(error) {
  return error instanceof PluginError ? error.toWit() : error;
}
