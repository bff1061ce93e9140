// What the browser keeps for this page. Where it keeps nothing (blocked, or full) the page's own memory has to do, and the page says so.

const PREFIX = "simplechat.";

/** One of the browser's two storages, or this page's memory in its place. Event "kept": it may be that more is kept now, or less. */
class Storage extends EventTarget {
  #area = null;
  #memory = new Map(); // what the browser did not take
  #wasKept; // when it was told last

  constructor(name) {
    super();
    try {
      this.#area = window[name];
    } catch {
      // It is blocked.
    }

    this.#wasKept = this.isKept;
  }

  /** Whether all that is put in survives a reload. */
  get isKept() {
    return this.#memory.size === 0 && this.#takes();
  }

  #takes() {
    try {
      this.#area.setItem(`${PREFIX}try`, "");
      this.#area.removeItem(`${PREFIX}try`);
      return true;
    } catch {
      return this.#area !== null && this.#area.length > 0; // full is found out when something is kept
    }
  }

  get(key) {
    return this.#memory.get(key) ?? this.#area?.getItem(PREFIX + key) ?? null;
  }

  set(key, value) {
    this.#memory.set(key, value);
    this.#hand([key, ...this.#memory.keys()]);
  }

  remove(key) {
    this.#area?.removeItem(PREFIX + key);
    this.#memory.delete(key);
    this.#hand([...this.#memory.keys()]); // there may be room now
  }

  /** Hands rows to the browser, as far as it takes them: it may have been full for a while only. */
  #hand(keys) {
    try {
      for (const key of keys) {
        if (!this.#memory.has(key))
          continue;
        this.#area.setItem(PREFIX + key, this.#memory.get(key));
        this.#memory.delete(key);
      }
    } catch {
      // They stay in memory.
    }

    const wasKept = this.#wasKept;
    if (wasKept && this.#memory.size === 0)
      return;
    this.#wasKept = this.isKept;
    if (wasKept !== this.#wasKept)
      this.dispatchEvent(new Event("kept"));
  }

  /** All keys that begin so. */
  keys(start) {
    const stored = this.#area ? Object.keys(this.#area) : [];
    const mine = stored.filter(key => key.startsWith(PREFIX)).map(key => key.slice(PREFIX.length));
    return [...new Set([...mine, ...this.#memory.keys()])].filter(key => key.startsWith(start));
  }
}

/** All tabs of this browser share it; it survives them. */
export const local = new Storage("localStorage");

/** This tab's alone; it survives a reload. */
export const session = new Storage("sessionStorage");

/** What is kept of one user, in rows: "outbox/7f3a", "draft/bob", "read/bob". */
export class UserStorage {
  #start;
  #isClosed = false;

  constructor(user) {
    this.#start = `${user}/`; // no user id has a slash in it
  }

  get(row) {
    return local.get(this.#start + row);
  }

  set(row, value) {
    if (!this.#isClosed)
      local.set(this.#start + row, value);
  }

  remove(row) {
    if (!this.#isClosed)
      local.remove(this.#start + row);
  }

  /** The names and values of one kind of rows. */
  rows(kind) {
    const start = `${this.#start}${kind}/`;
    return local.keys(start).map(key => [key.slice(start.length), local.get(key)]);
  }

  /** Calls back with the name and the new value (null: removed) when another tab has changed a row of this kind; "" for kind itself. */
  watch(kind, changed) {
    const row = `${PREFIX}${this.#start}${kind}`;
    addEventListener("storage", event => {
      if (!this.#isClosed && (event.key === row || event.key?.startsWith(`${row}/`)))
        changed(event.key.slice(row.length + 1), event.newValue);
    });
  }

  /** From now on this tab changes no row: what is there belongs to the other tabs, and to the next sign-in. */
  close() {
    this.#isClosed = true;
  }

  /** Removes all rows. Only the tab in which the user signs out does: in another one, told late, they may be those of a new sign-in. */
  clear() {
    local.keys(this.#start).forEach(key => local.remove(key));
  }
}
