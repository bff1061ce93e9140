// The server: its process, the map, the five steps, the rows of both tables, and what can be done to it.

import { $, button, element, say, short, show } from "../dom.js";
import { STEPS } from "../record/journey.js";
import { isUp, mapOf } from "../record/state.js";

const SLOW_DISK = 1_000; // milliseconds
const STATES = { down: "not started", resumed: "up" }; // the others are called what they are
const WAITS = { "before-commit": "waits before COMMIT", "after-commit": "waits after COMMIT" };
const [MESSAGES, INBOX] = [4, 3]; // rows that fit

export class ServerPane {
  #parts;
  #act;

  /** @param act Takes what is done to it: {do: "server", what}. */
  constructor(act) {
    this.#act = what => act({ do: "server", ...what });
    const parts = this.#parts = {
      name: element("h2", { id: "server-title" }, "The server"),
      is: element("span", { class: "is" }),
      map: element("p", { class: "map" }),
      steps: element("ol", { class: "steps", "aria-label": "The five steps of the last message" }),
      messages: element("div", { class: "table" }),
      inbox: element("div", { class: "table" }),
      points: element("div", { class: "menu", popover: "auto", id: "points" }),
      kill: button("Kill now", { key: "k", class: "quiet", click: () => this.#act({ what: this.#isUp ? "kill" : "start" }) }),
      killAt: button("Kill at…", { key: "p", class: "quiet thrown", popovertarget: "points", "aria-pressed": "false" }),
      slow: button("Slow disk", { key: "s", class: "quiet thrown", "aria-pressed": "false" }),
      full: button("Full disk", { key: "f", class: "quiet thrown", "aria-pressed": "false" }),
    };
    parts.slow.addEventListener("click", () => this.#act({ what: "slow-disk", ms: isPressed(parts.slow) ? 0 : SLOW_DISK }));
    parts.full.addEventListener("click", () => this.#act({ what: "full-disk", on: !isPressed(parts.full) }));
    $("server").append(
      element("header", {}, parts.name, parts.is), parts.map,
      element("div", { class: "inside" }, parts.steps, element("div", { class: "tables" }, parts.messages, parts.inbox)),
      element("div", { class: "server-switches" }, parts.kill, parts.killAt, parts.slow, parts.full));
    document.body.append(parts.points);
  }

  #isUp = false;
  #can = {};

  /** What this Lab's server can be made to do. */
  offer({ server, points = [], switches = {}, why = "not on this machine" }) {
    say(this.#parts.name, server ?? "The server");
    this.#can = switches;
    this.#parts.slow.title = switches["slow-disk"] === false ? why : "each commit takes a second longer";
    this.#parts.full.title = switches["full-disk"] === false ? why : "no commit goes through";
    this.#parts.killAt.hidden = points.length === 0;
    this.#parts.points.replaceChildren(element("h2", {}, "It dies there, the next time"), ...points.map(({ name, sentence }, at) =>
      button(sentence, {
        class: "quiet", autofocus: at === 0, "data-point": name, click: () => {
          this.#parts.points.hidePopover();
          this.#act({ what: "kill-at", point: name });
        },
      })));
  }

  show(s, isLive) {
    const { is, map, steps, messages, inbox, kill, killAt, slow, full } = this.#parts;
    const { state, pid, at } = s.server;
    this.#isUp = isUp(s) || state === "starting";
    is.dataset.state = state === "resumed" ? "up" : state;
    const word = state === "paused" ? WAITS[at] ?? "waits" : STATES[state] ?? state;
    say(is, `${word}${this.#isUp && pid ? `, pid ${pid}` : ""}`);
    show(map, mapWords(s));
    show(steps, stepsOf(s));
    show(messages, tableOf("MessageDB", "every message", s.messages, [], MESSAGES, s,
      ({ id, from, to, text }) =>
        [element("b", {}, String(id)), element("span", {}, `${from} → ${to}`), element("span", { class: "text" }, text)]));
    show(inbox, tableOf("InboxDB", "not delivered yet", s.inbox, s.gone, INBOX, s,
      ({ id, to }) => [element("b", {}, String(id)), element("span", {}, `for ${to}`)]));
    say(kill.firstElementChild, this.#isUp ? "Kill now" : "Start");
    say(killAt.firstElementChild, s.point ? `Dies at ${s.point}` : "Kill at…");
    killAt.setAttribute("aria-pressed", String(s.point !== null));
    slow.setAttribute("aria-pressed", String(s.slowDisk > 0));
    full.setAttribute("aria-pressed", String(s.isDiskFull));
    kill.disabled = killAt.disabled = !isLive;
    slow.disabled = !isLive || this.#can["slow-disk"] === false;
    full.disabled = !isLive || this.#can["full-disk"] === false;
  }

  press(key) {
    const { kill, killAt, slow, full } = this.#parts;
    const found = { k: kill, p: killAt, s: slow, f: full }[key];
    found?.click();
    return found !== undefined;
  }
}

const isPressed = node => node.getAttribute("aria-pressed") === "true";

const mapWords = s => [element("span", {}, "the map:"), ...mapOf(s).map(({ who, lines }) => element("span", {},
  element("b", { class: who }, who), ` → ${lines.length === 0 ? "nobody" : lines.map(line => `line ${line}`).join(", ")}`))];

function stepsOf({ journey, n }) {
  const newest = journey ? Math.max(...journey.done.filter(Boolean)) : 0;
  return [
    element("li", { class: "hidden" }, journey ? `The last message: ${journey.text}` : "No message yet"),
    ...STEPS.map((name, at) => {
      const done = journey?.done[at];
      const waits = at === 3 && !done && journey?.waits;
      const isNow = Boolean(done) && done === newest && n - done < 3;
      return element("li", { "data-done": waits ? "waits" : String(Boolean(done)), "data-now": String(isNow) },
        element("span", {}, String(at + 1)), element("span", {}, waits ? "left in inbox" : name));
    }),
    journey ? element("li", { class: "message" }, `${journey.id ? `${journey.id}: ` : ""}“${short(journey.text, 14)}”`) : null,
  ];
}

/** The newest rows; those that just went are struck out until the next change. */
function tableOf(name, what, rows, gone, room, s, cells) {
  const shown = [...rows, ...gone.map(row => ({ ...row, isGone: true }))].sort((one, other) => one.id - other.id).slice(-room);
  return [
    element("h3", {}, name, element("span", {}, `${what}: ${rows.length}`)),
    shown.length === 0 ? element("p", { class: "none" }, "empty") : element("ol", {}, shown.map(row =>
      element("li", { class: row.isGone ? "gone" : s.n - row.since < 3 ? "new" : null }, cells(row)))),
  ];
}
