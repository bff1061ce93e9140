// What was typed and is not known to be stored. Each entry is a row of localStorage of its own, so that it survives a reload and no tab
// overwrites another's. It is sent until it is answered; its clientMessageId makes the repeats one message.

const PREFIX = "simplechat.outbox.";

/** A random id; crypto.randomUUID is there in secure contexts only. */
export const newClientMessageId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");

export class Outbox {
  #prefix;
  #entries = new Map(); // clientMessageId → {clientMessageId, to, text, typedAt, failure?}
  #inFlight = new Set();

  constructor(user) {
    this.#prefix = `${PREFIX}${user}/`;
    this.load();
  }

  /** Takes in what earlier pages, or other tabs that were closed, have left. */
  load() {
    try {
      for (const key of Object.keys(localStorage).filter(key => key.startsWith(this.#prefix))) {
        const entry = JSON.parse(localStorage.getItem(key));
        if (!this.#entries.has(entry.clientMessageId))
          this.#entries.set(entry.clientMessageId, entry);
      }
    } catch {
      // No storage, or not ours: the page's own memory has to do.
    }
  }

  get all() {
    return [...this.#entries.values()].sort((one, other) => one.typedAt - other.typedAt);
  }

  to(other) {
    return this.all.filter(entry => entry.to === other);
  }

  /** What is to be sent now: neither under way nor refused. */
  get due() {
    return this.all.filter(entry => !entry.failure && !this.#inFlight.has(entry.clientMessageId));
  }

  get underWay() {
    return this.all.filter(entry => this.#inFlight.has(entry.clientMessageId));
  }

  get(clientMessageId) {
    return this.#entries.get(clientMessageId);
  }

  add(to, text) {
    const entry = { clientMessageId: newClientMessageId(), to, text, typedAt: Date.now() };
    this.#entries.set(entry.clientMessageId, entry);
    this.#save(entry);
    return entry;
  }

  started(clientMessageId) {
    this.#inFlight.add(clientMessageId);
  }

  /** Not known to be stored after all: due again. */
  interrupted(clientMessageId) {
    this.#inFlight.delete(clientMessageId);
  }

  interruptedAll() {
    this.#inFlight.clear();
  }

  /** The server will not take it; it stays to be looked at. */
  failed(clientMessageId, failure) {
    this.#inFlight.delete(clientMessageId);
    const entry = this.#entries.get(clientMessageId);
    if (entry) {
      entry.failure = failure;
      this.#save(entry);
    }
  }

  /** It is stored, or was thrown away. */
  remove(clientMessageId) {
    this.#inFlight.delete(clientMessageId);
    this.#entries.delete(clientMessageId);
    try {
      localStorage.removeItem(this.#prefix + clientMessageId);
    } catch {
      // There was none.
    }
  }

  #save(entry) {
    try {
      localStorage.setItem(this.#prefix + entry.clientMessageId, JSON.stringify(entry));
    } catch {
      // Full or forbidden: it waits in memory.
    }
  }
}
