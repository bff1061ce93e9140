// What is on a person's screens and in their pages' memory: one thread and one client for each tab.

const tab = () => ({ thread: [], delivered: new Set(), state: "left", outbox: [], position: 0, unacked: [], code: null });

export class Person {
  tabs = new Map();

  /** Whether no tab is there, or tries to be. */
  get isAway() {
    return [...this.tabs.values()].every(({ state }) => state === "left");
  }

  /** A `screen` entry: what the person saw. */
  saw(entry) {
    const { thread, delivered } = this.#tab(entry);
    const { id, clientMessageId, text = "", from, code } = entry;
    if (entry.what === "delivered")
      delivered.add(id); // a repeat is told "sent" after that
    const what = entry.what === "sent" && delivered.has(id) ? "delivered" : entry.what;
    const isIt = item => clientMessageId === undefined ? item.id === id : item.clientMessageId === clientMessageId;
    const mine = thread.findLast(item => item.isMine && isIt(item));
    if (what === "shown" || what === "repeat")
      thread.push({ what, id, text: text || textOf(thread, id), from });
    else if (what === "unsent")
      thread.push({ what, text, clientMessageId, isMine: true });
    else if (mine)
      Object.assign(mine, { what, id: id ?? mine.id, code });
    else if (what === "failed")
      thread.push({ what, text: code, code, isNote: true });
  }

  /** A `client` entry: the page's memory. */
  told(entry) {
    const { state, outbox = [], position = 0, unacked = [], code = null } = entry;
    Object.assign(this.#tab(entry), { state: state ?? this.#tab(entry).state, outbox, position, unacked, code });
  }

  #tab({ tab: number = 1 }) {
    if (!this.tabs.has(number))
      this.tabs.set(number, tab());
    return this.tabs.get(number);
  }
}

const textOf = (thread, id) => thread.find(item => item.id === id)?.text ?? "";
