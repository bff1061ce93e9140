// What went over the wire, as it went, for the drawer "On the wire": the newest entries, and the way of each message that this page sent.

const CAPACITY = 500;
const encoder = new TextEncoder();

export const utf8Length = text => encoder.encode(text).length;

class Wire extends EventTarget {
  entries = [];
  journeys = new Map(); // clientMessageId → what this page saw of the message's way
  #next = 1;

  /** @param entry {direction: "out" | "in" | "note", kind: "ws" | "http", text, bytes} */
  record(entry) {
    const whole = { number: this.#next++, time: new Date(), bytes: entry.text === undefined ? 0 : utf8Length(entry.text), ...entry };
    this.entries.push(whole);
    if (this.entries.length > CAPACITY)
      this.entries.shift();
    this.dispatchEvent(new CustomEvent("entry", { detail: whole }));
  }

  clear() {
    this.entries = [];
    this.dispatchEvent(new Event("clear"));
  }

  /** Notes a step of a message: {typed, out, via, stored, sentAt, delivered} are this page's clock, performance.now(), but for sentAt. */
  step(clientMessageId, seen) {
    const journey = this.journeys.get(clientMessageId) ?? { clientMessageId };
    for (const [name, value] of Object.entries(seen))
      journey[name] ??= value;
    this.journeys.set(clientMessageId, journey);
    if (this.journeys.size > CAPACITY)
      this.journeys.delete(this.journeys.keys().next().value);
    this.dispatchEvent(new CustomEvent("journey", { detail: journey }));
  }

  journeyOf(id) {
    return [...this.journeys.values()].find(journey => journey.id === id);
  }
}

export const wire = new Wire();
