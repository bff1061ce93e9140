// The drawer "On the wire": the frames and requests as they went, and the five steps of one message.

import { $, element, exactTimeOf } from "./dom.js";
import { wire } from "./wire.js";

const SHOWN = 500;
const LONG = 700; // characters
const arrows = { out: "→ out", in: "← in", note: "· note" };
const kinds = { ws: "WebSocket", http: "HTTP" };

function milliseconds(from, to) {
  if (from === undefined || to === undefined)
    return "";
  return to - from < 10_000 ? `${(to - from).toFixed(1)} ms` : `${Math.round((to - from) / 1000)} s`;
}

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
    const { id, to, text, delivered } = message;
    this.#journey = wire.journeyOf(id) ?? { id, to, text, delivered, isOld: true };
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

  #showJourney() {
    const journey = this.#journey;
    const box = $("journey");
    if (!journey) {
      box.replaceChildren(element("p", { class: "help" }, "Send a message, or choose the ticks beside one, to see its way through the five steps."));
      return;
    }

    const steps = journey.isOld ? stepsOfOld(journey) : stepsOf(journey);
    box.replaceChildren(
      element("h3", {}, `To ${journey.to}: ${short(journey.text)}`),
      element("ol", {}, ...steps.map(({ name, isDone, took, note }) => element("li", { "data-done": String(isDone) },
        element("span", { role: "img", "aria-label": isDone ? "done" : "to come" }, isDone ? "✓" : "·"),
        element("span", {}, name), element("span", { class: "took" }, took ?? ""), note ? element("small", {}, note) : null))));
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
    const end = text.indexOf("\n"); // of a request's or an answer's first line
    const body = text.slice(end + 1);
    const summary = element("summary", {}, `${body.slice(0, 60)}… (${body.length.toLocaleString()} characters)`);
    return [element("pre", {}, text.slice(0, Math.max(end, 0))), element("details", {}, summary, element("pre", {}, body))];
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

/**
 * What this page can know of the five steps, and no more. It sees its own frame go; "sent" come, and by then the message is accepted and stored;
 * and "delivered" come, and by then the recipient was looked up, had it pushed or fetched it, and acknowledged it.
 */
function stepsOf({ id, to, typed, out, via, stored, sentAt, online, delivered }) {
  const [isOut, isStored, isDelivered] = [out, stored, delivered].map(time => time !== undefined);
  const clock = sentAt ? `; by the server’s clock at ${exactTimeOf(new Date(sentAt))}` : "";
  const presence = online === undefined ? `the map in memory was asked for ${to}` : `${to} was ${online ? "online" : "away"} when this page last asked`;
  return [
    {
      name: "Accepted", isDone: isOut, took: milliseconds(typed, out),
      note: isOut ? `left this page over ${via}${clock}` : "waits in this page until there is a line",
    },
    {
      name: "Stored", isDone: isStored, took: milliseconds(out, stored),
      note: isStored ? `message ${id}, in MessageDB and InboxDB; the time is the round trip, commit included`
        : "“sent” comes when the commit is on disk",
    },
    {
      name: "Looked up", isDone: isStored,
      note: `${presence}; too quick to be timed from here`,
    },
    isDelivered ? { name: "Pushed, or fetched from the inbox", isDone: true, note: "the inbox row is gone" }
      : isStored && online !== true ? { name: "Left in the inbox", isDone: true, note: `it waits in InboxDB until ${to} has it` }
      : { name: "Pushed, or left in the inbox", isDone: isStored, note: isStored ? `its InboxDB row stays until ${to} has acknowledged it` : null },
    {
      name: "Delivered", isDone: isDelivered, took: milliseconds(stored ?? out, delivered),
      note: isDelivered ? "“delivered” came: steps 3 to 5 took this long" : null,
    },
  ];
}

/** Of a message that was sent before this page was opened only the outcome is known. */
const stepsOfOld = ({ id, to, delivered }) => [
  { name: "Accepted", isDone: true, note: "before this page was opened: it has no times of it" },
  { name: "Stored", isDone: true, note: `message ${id}, in MessageDB` },
  { name: "Looked up", isDone: true },
  delivered ? { name: "Pushed, or fetched from the inbox", isDone: true }
    : { name: "Left in the inbox", isDone: true, note: `it waits in InboxDB until ${to} has it` },
  { name: "Delivered", isDone: Boolean(delivered) },
];

const short = text => text.length > 60 ? `${text.slice(0, 60)}…` : text;
const asText = ({ time, direction, kind, bytes, text }) =>
  `${exactTimeOf(time)} ${arrows[direction]} ${kinds[kind]} ${bytes} bytes  ${text.replaceAll("\n", " | ")}`;
