// How far each conversation was read. It is one number a conversation, the highest id that was read; it never goes back, survives reloads,
// and is shared with this browser's other tabs: each writes its own rows and listens to theirs.

const SAVE_WITHIN = 250; // milliseconds: a flood that is read raises a mark with every frame

/** Event "raised", detail: the conversation's name. Another tab has read further. */
export class Reading extends EventTarget {
  #storage;
  #marks = new Map();
  #floor; // what is older counts as read where there is no mark; null until it is known
  #unsaved = new Set();
  #timer = null;

  constructor(storage) {
    super();
    this.#storage = storage;
    this.#floor = numberOrNull(storage.get("floor"));
    for (const [other, value] of storage.rows("read"))
      this.#marks.set(other, Number(value) || 0);
    storage.watch("read", (other, value) => value === null ? this.#forgetOne(other) : this.#heard(other, Number(value) || 0));
    addEventListener("pagehide", () => this.#save());
    document.addEventListener("visibilitychange", () => document.hidden && this.#save());
  }

  /** The highest id that was read; 0 for none. */
  upTo(other) {
    return this.#marks.get(other) ?? this.#floor ?? 0;
  }

  /** On a browser that knows nothing yet, what is there already counts as read, but for what begin() names. */
  assumeRead(newestId) {
    if (this.#floor !== null)
      return;
    this.#floor = newestId;
    this.#storage.set("floor", String(newestId));
  }

  /** This message was not read, nor anything after it, where nothing else is known of the conversation. */
  begin(other, id) {
    if (!this.#marks.has(other))
      this.#keep(other, Math.min(id - 1, this.#floor ?? Infinity));
  }

  /** Read up to here. A lower id than before changes nothing. */
  raise(other, id) {
    if (id > this.upTo(other))
      this.#keep(other, id);
  }

  /** The database is another one: the ids are, too. */
  forget() {
    for (const other of this.#marks.keys())
      this.#storage.remove(`read/${other}`);
    this.#storage.remove("floor");
    this.#marks.clear();
    this.#unsaved.clear();
    this.#floor = null;
  }

  /** Another tab has found that the database is another one. */
  #forgetOne(other) {
    this.#marks.delete(other);
    this.#unsaved.delete(other);
  }

  #heard(other, id) {
    if (id <= this.upTo(other))
      return;
    this.#marks.set(other, id);
    this.dispatchEvent(new CustomEvent("raised", { detail: other }));
  }

  #keep(other, id) {
    this.#marks.set(other, id);
    this.#unsaved.add(other);
    this.#timer ??= setTimeout(() => this.#save(), SAVE_WITHIN);
  }

  /** Another tab may have read further, and this one not have heard of it yet. */
  #save() {
    clearTimeout(this.#timer);
    this.#timer = null;
    for (const other of this.#unsaved) {
      if (Number(this.#storage.get(`read/${other}`) ?? -1) < this.#marks.get(other))
        this.#storage.set(`read/${other}`, String(this.#marks.get(other)));
    }

    this.#unsaved.clear();
  }
}

const numberOrNull = text => text === null ? null : Number(text) || 0;
