// What went over the wire, as it went, for the drawer "On the wire": the newest entries, and the way of each message that this page sent.
// Noting an entry costs next to nothing: all else is done when somebody looks.

const ENTRIES = 500;
const CHARACTERS = 2_000_000; // in all entries
const encoder = new TextEncoder();

export const utf8Length = text => encoder.encode(text).length;

/** Event "journey", detail: of which message. */
class Wire extends EventTarget {
  changed = () => {}; // called when there is another entry
  entries = [];
  count = 0; // entries ever
  journeys = new Map(); // clientMessageId → what this page saw of the message's way
  #characters = 0;

  /** @param entry {direction: "out" | "in" | "note", kind: "ws" | "http", text, body?: what of the text counts as bytes} */
  record(entry) {
    entry.number = ++this.count;
    entry.time = Date.now();
    this.entries.push(entry);
    this.#characters += entry.text.length;
    while (this.entries.length > ENTRIES || this.#characters > CHARACTERS && this.entries.length > 1)
      this.#characters -= this.entries.shift().text.length;
    this.changed();
  }

  clear() {
    this.entries = [];
    this.#characters = 0;
    this.changed();
  }

  /** Notes a step of a message: {typed, out, via, stored, sentAt, asked, delivered}. Times are performance.now(), but for sentAt. */
  step(clientMessageId, seen) {
    const journey = this.journeys.get(clientMessageId) ?? { clientMessageId };
    for (const [name, value] of Object.entries(seen))
      journey[name] ??= value;
    this.journeys.set(clientMessageId, journey);
    if (this.journeys.size > ENTRIES)
      this.journeys.delete(this.journeys.keys().next().value);
    this.dispatchEvent(new CustomEvent("journey", { detail: journey }));
  }

  journeyOf(id) {
    return [...this.journeys.values()].find(journey => journey.id === id);
  }
}

export const wire = new Wire();
