// The five ways to the same inbox, side by side: five lanes, and what each costs.

import { $, button, element, say, show, timeOf } from "../dom.js";
import { drawingOf } from "./drawing.js";
import { LANES, waysOf } from "./lanes.js";

const WINDOW = 12_000; // milliseconds that are seen at once
const QUIET_WINDOW = 60_000;
const AN_HOUR = 3_600_000;
const ENOUGH = 30_000; // milliseconds of quiet that an hour can be reckoned from

export class Ways {
  isOpen = false;

  #rows;
  #rtts;
  #controls;
  #status = element("p", { class: "help", role: "status" });
  #shown = { recording: null, at: 0, count: -1 };

  /** @param act Takes {do: "ways", what, rtt}. */
  constructor(act) {
    const rtt = () => this.#rtts.find(node => node.getAttribute("aria-pressed") === "true")?.value ?? 50;
    const command = (what, ms) => act({ do: "ways", what, ...(what === "start" ? { rtt: Number(ms ?? rtt()) } : {}) });
    const choice = ms => button(`${ms} ms`, { class: "quiet", value: ms, "aria-pressed": "false", click: () => command("start", ms) });
    this.#rtts = [0, 50, 200].map(choice);
    this.#controls = [
      button("Start", { class: "quiet", click: () => command("start") }), button("Send one message", { click: () => command("send") }),
      button("A quiet minute", { class: "quiet", click: () => command("quiet") }),
      button("Stop", { class: "quiet", click: () => command("stop") }),
    ];
    this.#rows = new Map(LANES.map(({ name, title, about }) => [name, {
      node: element("li", { class: "way", "data-lane": name },
        element("div", { class: "name" }, element("h3", {}, title), element("p", { class: "help" }, about)),
        element("div", { class: "drawing" }), element("dl")),
    }]));
    $("ways").append(
      element("header", {}, element("h2", { id: "ways-title" }, "Five ways to the inbox"), ...this.#controls,
        element("span", { class: "rtt" }, "round trip ", ...this.#rtts), this.#status),
      element("ol", {}, [...this.#rows.values()].map(({ node }) => node)));
    setInterval(() => this.isOpen && this.#draw(), 100);
  }

  toggle(isOpen = !this.isOpen) {
    this.isOpen = isOpen;
    $("ways").hidden = !isOpen;
    $("stage").hidden = $("timeline").hidden = isOpen;
  }

  show(recording, isLive) {
    const { entries } = recording;
    if (this.#shown.recording !== recording || this.#shown.count !== entries.length)
      this.#shown = { recording, count: entries.length, at: performance.now() };
    for (const control of [...this.#controls, ...this.#rtts])
      control.disabled = !isLive;
    if (this.isOpen)
      this.#draw();
  }

  #draw() {
    const { recording, at } = this.#shown;
    if (recording === null)
      return;
    const ways = waysOf(recording.entries, recording.upTo);
    const last = recording.state.t;
    const now = ways.isOn && recording.isAtEnd && recording.title === null ? last + (performance.now() - at) : last;
    const span = ways.quietSince === null ? WINDOW : QUIET_WINDOW;
    const axis = { from: now - span, to: now + span / 60 };
    for (const lane of LANES) {
      const [, drawing, numbers] = this.#rows.get(lane.name).node.children;
      const told = ways.lanes.get(lane.name);
      drawing.replaceChildren(drawingOf(lane, told, ways, axis));
      show(numbers, numbersOf(told, ways, now));
    }

    this.#rtts.forEach(node => node.setAttribute("aria-pressed", String(ways.isOn && Number(node.value) === ways.rtt)));
    const quiet = ways.quietSince === null ? null : Math.min(60, Math.round((now - ways.quietSince) / 1000));
    say(this.#status, quiet !== null ? `${quiet} of 60 quiet seconds` : `${span / 1000} s are shown`);
  }
}

function numbersOf({ requests, up, down, delay, quiet }, { quietSince }, now) {
  const elapsed = now - quietSince;
  const hour = quietSince === null ? "—" : elapsed < ENOUGH ? "…" : bytesOf(quiet.bytes * AN_HOUR / elapsed);
  return [
    ["requests", requests], ["bytes up", bytesOf(up)], ["bytes down", bytesOf(down)],
    ["heard after", delay === null ? "—" : timeOf(delay)], ["a quiet hour", hour],
  ].map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));
}

const bytesOf = count => count < 10_000 ? `${Math.round(count)} B`
  : count < 10_000_000 ? `${Math.round(count / 1000)} kB` : `${(count / 1_000_000).toFixed(1)} MB`;
