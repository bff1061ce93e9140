// The drawer "On the wire": the frames and requests as they went, and the five steps of one message.

import { $, element, exactTimeOf } from "./dom.js";
import { wire } from "./wire.js";

const SHOWN = 500;
const LONG = 700; // characters
const arrows = { out: "→ out", in: "← in", note: "· note" };
const kinds = { ws: "WebSocket", http: "HTTP" };
const milliseconds = (from, to) => from === undefined || to === undefined ? "" : to - from < 10_000 ? `${(to - from).toFixed(1)} ms` : `${Math.round((to - from) / 1000)} s`;

export class Drawer {
  #isPaused = false;
  #journey = null; // the one shown

  constructor() {
    wire.addEventListener("entry", event => this.#isPaused ? this.#count() : this.#append(event.detail));
    wire.addEventListener("clear", () => this.#render());
    wire.addEventListener("journey", event => this.#follow(event.detail));
    $("wire-toggle").addEventListener("click", () => this.isOpen ? this.close() : this.open());
    $("wire-close").addEventListener("click", () => this.close());
    $("wire").addEventListener("keydown", event => event.key === "Escape" && this.close());
    $("wire-filter").addEventListener("input", () => this.#render());
    $("wire-clear").addEventListener("click", () => wire.clear());
    $("wire-copy").addEventListener("click", () => this.#copy());
    $("wire-pause").addEventListener("click", () => this.#pause());
    this.#showJourney();
  }

  get isOpen() {
    return !$("wire").hidden;
  }

  open() {
    $("wire").hidden = false;
    $("wire-toggle").setAttribute("aria-expanded", "true");
    this.#render();
    $("wire-filter").focus();
  }

  close() {
    $("wire").hidden = true;
    $("wire-toggle").setAttribute("aria-expanded", "false");
    $("wire-toggle").focus();
  }

  /** Opens with the way of this message. */
  show(message) {
    this.#journey = wire.journeyOf(message.id) ?? { id: message.id, to: message.to, text: message.text, delivered: message.delivered ? true : undefined, isOld: true };
    if (!this.isOpen)
      this.open();
    this.#showJourney();
  }

  #follow(journey) {
    const isNewer = !this.#journey || this.#journey.isOld || (journey.typed ?? 0) >= (this.#journey.typed ?? 0);
    if (!isNewer || this.#isPaused)
      return;
    this.#journey = journey;
    this.#showJourney();
  }

  /**
   * What this page can know of the five steps, and no more: it sees its own frame go, "sent" come (by then the message is accepted and stored), and "delivered" come
   * (by then the recipient was looked up, had it pushed or fetched it, and has acknowledged it).
   */
  #showJourney() {
    const journey = this.#journey;
    const box = $("journey");
    if (!journey) {
      box.replaceChildren(element("p", { class: "help" }, "Send a message, or choose the ticks beside one, to see its way through the five steps."));
      return;
    }

    const { typed, out, stored, delivered, online, via } = journey;
    const isDelivered = delivered !== undefined;
    const waits = stored !== undefined && !isDelivered;
    const steps = [
      ["Accepted", out !== undefined || stored !== undefined || journey.isOld, milliseconds(typed, out),
        journey.isOld ? "before this page was opened: no times of its own" : out === undefined ? "waits in this page until there is a line" : `left the page over ${via}${journey.sentAt ? `; by the server’s clock ${exactTimeOf(new Date(journey.sentAt))}` : ""}`],
      ["Stored", stored !== undefined || journey.isOld, milliseconds(out, stored),
        stored === undefined && !journey.isOld ? "“sent” comes when the commit is on disk" : `message ${journey.id}, in MessageDB and InboxDB; the time is the round trip, commit included`],
      ["Looked up", stored !== undefined || journey.isOld, "",
        online === undefined ? `the map in memory was asked for ${journey.to}; too quick to be seen from here` : `${journey.to} was ${online ? "online" : "away"} when this page last asked; too quick to be timed from here`],
      [isDelivered ? "Pushed, or fetched from the inbox" : waits && online !== true ? "Left in the inbox" : "Pushed, or left in the inbox", isDelivered || waits || journey.isOld, "",
        isDelivered ? "the inbox row is gone" : stored === undefined && !journey.isOld ? "" : `it waits in InboxDB until ${journey.to} has it`],
      ["Delivered", isDelivered, typeof delivered === "number" ? milliseconds(stored ?? out, delivered) : "",
        isDelivered ? "“delivered” came: steps 3 to 5 took this long" : ""],
    ];
    box.replaceChildren(
      element("h3", {}, `To ${journey.to}: ${short(journey.text)}`),
      element("ol", {}, ...steps.map(([name, isDone, took, note]) => element("li", { "data-done": String(Boolean(isDone)) },
        element("span", { "aria-label": isDone ? "done" : "to come" , role: "img" }, isDone ? "✓" : "·"),
        element("span", {}, name), element("span", { class: "took" }, took), note ? element("small", {}, note) : null))));
  }

  #matches(entry) {
    const filter = $("wire-filter").value.trim().toLowerCase();
    return !filter || asText(entry).toLowerCase().includes(filter);
  }

  #append(entry) {
    if (!this.isOpen || !this.#matches(entry))
      return;
    const scroll = $("wire-scroll");
    const stick = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    $("wire-entries").append(this.#entry(entry));
    if ($("wire-entries").childElementCount > SHOWN)
      $("wire-entries").firstElementChild.remove();
    if (stick)
      scroll.scrollTop = scroll.scrollHeight;
  }

  #render() {
    $("wire-entries").replaceChildren(...wire.entries.filter(entry => this.#matches(entry)).map(entry => this.#entry(entry)));
    $("wire-scroll").scrollTop = $("wire-scroll").scrollHeight;
  }

  #entry(entry) {
    return element("li", { class: "entry", "data-direction": entry.direction, "data-kind": entry.kind },
      element("div", { class: "meta" },
        element("b", {}, arrows[entry.direction]), element("span", {}, kinds[entry.kind]), element("span", {}, exactTimeOf(entry.time)),
        entry.direction === "note" ? null : element("span", {}, `${entry.bytes} bytes`)),
      ...this.#text(entry.text));
  }

  /** All of it; a page of history is folded, so that it does not push everything else away. */
  #text(text) {
    if (text.length <= LONG)
      return [element("pre", {}, text)];
    const [head, ...rest] = text.includes("\n") ? [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n") + 1)] : ["", text];
    return [head ? element("pre", {}, head) : null,
      element("details", {}, element("summary", {}, `${rest[0].slice(0, 60)}… (${rest[0].length.toLocaleString()} characters)`), element("pre", {}, rest[0]))].filter(Boolean);
  }

  #pause() {
    this.#isPaused = !this.#isPaused;
    $("wire-pause").setAttribute("aria-pressed", String(this.#isPaused));
    $("wire-status").textContent = this.#isPaused ? "Paused." : "";
    this.#held = 0;
    if (!this.#isPaused)
      this.#render();
  }

  #held = 0;

  #count() {
    this.#held++;
    $("wire-status").textContent = `Paused; ${this.#held} more since.`;
  }

  async #copy() {
    const shown = wire.entries.filter(entry => this.#matches(entry));
    const text = shown.map(asText).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      $("wire-status").textContent = `Copied ${shown.length} entries.`;
    } catch {
      $("wire-status").textContent = "The browser does not let this page copy.";
    }
  }
}

const short = text => text.length > 60 ? `${text.slice(0, 60)}…` : text;
const asText = entry => `${exactTimeOf(entry.time)} ${arrows[entry.direction]} ${kinds[entry.kind]} ${entry.bytes} bytes  ${entry.text.replaceAll("\n", " | ")}`;
