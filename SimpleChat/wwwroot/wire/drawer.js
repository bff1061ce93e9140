// The drawer "On the wire": the frames and requests as they went, and the five steps of one message.

import { utf8Length, wire } from "../line/wire.js";
import { $, element, exactTimeOf, say } from "../screen/dom.js";
import { Following } from "../screen/following.js";
import { eachFrame } from "../screen/frame.js";
import { showJourney } from "./journey.js";

const SHOWN = 100; // entries
const LONG = 700; // characters
const PAUSE = 100; // milliseconds between two renderings
const arrows = { out: "→ out", in: "← in", note: "· note" };
const kinds = { ws: "WebSocket", http: "HTTP" };
const wide = matchMedia("(min-width: 900px)"); // from here on it shares the space

export class Drawer {
  #isPaused = false;
  #countWhenPaused = 0;
  #journey = null; // the one shown
  #nodes = new Map(); // entry → node
  #following; // the newest entry
  #panel = $("wire"); // still there when the page has been emptied
  #left;

  /** @param left Called when a drawer that covered the chat has gone. */
  constructor(left) {
    this.#left = left;
    const changed = eachFrame(() => this.#render(), PAUSE);
    wire.changed = () => this.isOpen && changed();
    wire.addEventListener("journey", event => this.#follow(event.detail));
    $("wire-toggle").addEventListener("click", () => this.isOpen ? this.close() : this.open());
    $("wire-close").addEventListener("click", () => this.close());
    $("wire").addEventListener("keydown", event => event.key === "Escape" && this.close());
    $("wire-filter").addEventListener("input", changed);
    $("wire-clear").addEventListener("click", () => wire.clear());
    $("wire-copy").addEventListener("click", () => this.#copy());
    $("wire-pause").addEventListener("click", () => this.#pause());
    this.#following = new Following($("wire-scroll"));
    showJourney(null);
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** Whether it lies over the chat. */
  get covers() {
    return this.isOpen && !wide.matches;
  }

  open() {
    $("wire").hidden = false;
    $("wire-toggle").setAttribute("aria-expanded", "true");
    this.#following.isOn = true;
    showJourney(this.#journey);
    this.#render();
    $("wire-filter").focus();
  }

  close() {
    const covered = this.covers;
    $("wire").hidden = true;
    $("wire-toggle").setAttribute("aria-expanded", "false");
    $("wire-toggle").focus();
    if (covered)
      this.#left();
  }

  /** Opens with the way of this message. */
  show(message) {
    if (!message)
      return;
    const { id, to, text, delivered } = message;
    this.#journey = wire.journeyOf(id) ?? { id, to, text, delivered, isOld: true };
    if (!this.isOpen)
      this.open();
    showJourney(this.#journey);
  }

  #follow(journey) {
    const isNewer = !this.#journey || this.#journey.isOld || (journey.typed ?? 0) >= (this.#journey.typed ?? 0);
    if (!isNewer || this.#isPaused)
      return;
    this.#journey = journey;
    if (this.isOpen)
      showJourney(journey);
  }

  #matches(entry) {
    const filter = $("wire-filter").value.trim().toLowerCase();
    return !filter || asText(entry).toLowerCase().includes(filter);
  }

  #render() {
    if (!this.isOpen)
      return;
    if (this.#isPaused)
      return say($("wire-status"), `Paused; ${wire.count - this.#countWhenPaused} more since.`);
    const shown = wire.entries.filter(entry => this.#matches(entry)).slice(-SHOWN);
    const known = this.#nodes;
    this.#nodes = new Map(shown.map(entry => [entry, known.get(entry) ?? this.#entry(entry)]));
    for (const [entry, node] of known) {
      if (!this.#nodes.has(entry))
        node.remove();
    }

    let next = $("wire-entries").firstElementChild;
    for (const node of this.#nodes.values()) {
      if (node === next)
        next = next.nextElementSibling;
      else
        $("wire-entries").insertBefore(node, next);
    }

    this.#following.keep();
  }

  #entry(entry) {
    return element("li", { class: "entry", "data-direction": entry.direction, "data-kind": entry.kind },
      element("div", { class: "meta" },
        element("b", {}, arrows[entry.direction]), element("span", {}, kinds[entry.kind]), element("span", {}, exactTimeOf(entry.time)),
        entry.direction === "note" ? null : element("span", {}, `${bytesOf(entry)} bytes`)),
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
    this.#countWhenPaused = wire.count;
    $("wire-pause").setAttribute("aria-pressed", String(this.#isPaused));
    say($("wire-status"), this.#isPaused ? "Paused." : "");
    this.#render();
  }

  async #copy() {
    const shown = wire.entries.filter(entry => this.#matches(entry));
    try {
      await navigator.clipboard.writeText(shown.map(asText).join("\n"));
      say($("wire-status"), `Copied ${shown.length} entries.`);
    } catch {
      say($("wire-status"), "The browser does not let this page copy.");
    }
  }
}

/** Of an answer only the body counts: the line above it is this page's own. */
const bytesOf = ({ text, body }) => utf8Length(body ?? text);
const asText = entry => [
  exactTimeOf(entry.time), arrows[entry.direction], kinds[entry.kind], `${bytesOf(entry)} bytes `, entry.text.replaceAll("\n", " | "),
].join(" ");
