// What was typed and is not known to be stored. Each entry is a row of its own in the browser's storage: it survives a reload, and no tab
// overwrites another's. It is sent until it is answered; its clientMessageId makes the repeats one message, whichever tab sends it.

const HEARD_WITHIN = 5_000; // milliseconds: the tab in which it was typed has sent it by then, or cannot

/** A random id; crypto.randomUUID is there in secure contexts only. */
export const newClientMessageId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), inHex).join("");
const inHex = byte => byte.toString(16).padStart(2, "0");

/** Event "due": what another tab has typed may still be waiting. */
export class Outbox extends EventTarget {
  #storage;
  #changed;
  #entries = new Map(); // clientMessageId → {clientMessageId, to, text, typedAt, failure?, after?}, in the order typed
  #underWay = new Set();
  #timer = null; // runs while something was heard

  /** @param changed Called with the conversation's name when an entry comes, goes or fails. */
  constructor(storage, changed) {
    super();
    this.#storage = storage;
    this.#changed = changed;
    const rows = storage.rows("outbox").map(([, value]) => parse(value)).filter(entry => entry);
    rows.sort((one, other) => one.typedAt - other.typedAt).forEach(entry => this.#entries.set(entry.clientMessageId, entry));
    storage.watch("outbox", (id, value) => this.#heard(id, value));
  }

  get all() {
    return [...this.#entries.values()];
  }

  to(other) {
    return this.#entries.size === 0 ? [] : this.all.filter(entry => entry.to === other);
  }

  /** What is to be sent now: neither under way nor refused. */
  get due() {
    return this.all.filter(entry => !entry.failure && !this.#underWay.has(entry.clientMessageId));
  }

  get isIdle() {
    return this.#underWay.size === 0;
  }

  get(clientMessageId) {
    return this.#entries.get(clientMessageId);
  }

  add(to, text) {
    const entry = { clientMessageId: newClientMessageId(), to, text, typedAt: Date.now() };
    this.#put(entry);
    return entry;
  }

  started(clientMessageId) {
    this.#underWay.add(clientMessageId);
  }

  /** Not known to be stored after all: due again. */
  interrupted(clientMessageId) {
    this.#underWay.delete(clientMessageId);
  }

  interruptedAll() {
    this.#underWay.clear();
  }

  /** The server will not take it. It stays to be looked at, where it was: after the message with this id. */
  failed(clientMessageId, failure, after) {
    this.#underWay.delete(clientMessageId);
    const entry = this.#entries.get(clientMessageId);
    if (entry)
      this.#put({ ...entry, failure, after });
  }

  /** It is stored, as the message with this id. What was typed after it and is refused already stays below it. */
  stored(clientMessageId, id) {
    const { to, typedAt } = this.#entries.get(clientMessageId);
    for (const entry of this.to(to)) {
      if (entry.failure && entry.typedAt > typedAt && !(entry.after >= id))
        this.#put({ ...entry, after: id });
    }

    this.remove(clientMessageId);
  }

  /** It was taken back. */
  remove(clientMessageId) {
    this.#underWay.delete(clientMessageId);
    const entry = this.#entries.get(clientMessageId);
    this.#entries.delete(clientMessageId);
    this.#storage.remove(`outbox/${clientMessageId}`);
    if (entry)
      this.#changed(entry.to);
  }

  #put(entry) {
    this.#entries.set(entry.clientMessageId, entry);
    this.#storage.set(`outbox/${entry.clientMessageId}`, JSON.stringify(entry));
    this.#changed(entry.to);
  }

  /** Another tab has typed something, or has had it stored. */
  #heard(clientMessageId, value) {
    const entry = value === null ? this.#entries.get(clientMessageId) : parse(value);
    if (!entry)
      return;
    if (value !== null) {
      this.#entries.set(clientMessageId, entry);
      this.#timer ??= setTimeout(() => this.#waited(), HEARD_WITHIN);
    } else if (!this.#underWay.has(clientMessageId)) {
      this.#entries.delete(clientMessageId);
    }

    this.#changed(entry.to);
  }

  /** The other tab was closed, or has no line: let this one send it. */
  #waited() {
    this.#timer = null;
    this.dispatchEvent(new Event("due"));
  }
}

function parse(value) {
  try {
    const entry = JSON.parse(value);
    return [entry?.clientMessageId, entry?.to, entry?.text].every(part => typeof part === "string") ? entry : null;
  } catch {
    return null;
  }
}
