// A person's pane: the threads of the open tabs, the page's memory, the composer.

import { $, button, element, say, short, show } from "../dom.js";
import { isConnecting } from "../record/state.js";

/** What can be asked over HTTP: the path, for alice's or bob's question. */
const QUESTIONS = [
  ["What we have said: GET /messages", other => `/messages?with=${other}`], ["What waits for me: GET /inbox", () => "/inbox"],
];

const MEANINGS = {
  outbox: "sent, and not answered yet: it is sent again", position: "the newest message that was shown",
  "to ack": "shown; the ack is not out, or went out over a line that broke",
};

const STATES = { open: "online", connecting: "connecting…", trying: "no line", left: "away" };

export class PersonPane {
  #who;
  #parts;

  /** @param act Takes what the person does: {as, send} and the like. */
  constructor(who, act) {
    this.#who = who;
    const other = who === "alice" ? "bob" : "alice";
    const parts = this.#parts = {
      is: element("span", { class: "is" }),
      line: element("button", { type: "button", class: "quiet", click: () => act(this.#lineAction()) }),
      second: element("button", { type: "button", class: "quiet", click: () => act(this.#secondAction()) }),
      threads: element("div", { class: "threads" }),
      memory: element("p", { class: "memory" }),
      again: button("Send again", { class: "quiet", hidden: true, click: () => act({ as: who, again: true }) }),
      http: button("HTTP", { key: who === "alice" ? "Y" : "y", class: "quiet",
        popovertarget: `${who}-http`, id: `${who}-http-open` }),
      text: element("input", {
        id: `${who}-text`, autocomplete: "off", maxlength: 200, placeholder: `Write to ${other}`,
        "aria-label": `Message from ${who}`,
      }),
    };
    const submit = event => {
      event.preventDefault();
      const send = parts.text.value.trim();
      if (send !== "")
        act({ as: who, send });
      parts.text.value = "";
    };
    parts.text.addEventListener("keydown", event => event.key === "Escape" && parts.text.blur());
    $(who).classList.add(who);
    $(who).append(
      element("header", {},
        element("span", { class: "avatar", "aria-hidden": "true" }, who[0].toUpperCase()), element("h2", { id: `${who}-title` }, who),
        parts.is, who === "bob" ? parts.second : null, parts.line),
      parts.threads, element("div", { class: "remembers" }, parts.memory, parts.again, parts.http),
      element("form", { class: "composer", submit }, parts.text, button("Send", { key: who[0], type: "submit" })));
    const menu = element("div", { class: "menu", popover: "auto", id: `${who}-http` },
      element("h2", {}, `${who} asks over HTTP`), QUESTIONS.map(([label, path], at) => button(label, {
        class: "quiet", autofocus: at === 0, click: () => {
          menu.hidePopover();
          act({ do: "http", who, method: "GET", path: path(other) });
        },
      })));
    document.body.append(menu);
  }

  show(s, isLive) {
    const { is, line, second, threads, memory, again, http, text } = this.#parts;
    const tabs = this.#tabs = [...s.people[this.#who].tabs];
    const stateOf = state => state === "trying" && isConnecting(s, this.#who) ? "connecting" : state;
    const first = tabs[0]?.[1];
    const state = stateOf(["open", "trying"].find(one => tabs.some(([, tab]) => tab.state === one)) ?? "left");
    is.dataset.state = state;
    say(is, openOf(tabs).length > 1 ? `${openOf(tabs).length} tabs` : STATES[state]);
    say(line, state === "left" ? "Connect" : "Leave");
    say(second, openOf(tabs).length > 1 ? "Close tab 1" : "2nd tab");
    second.hidden = state !== "open";
    const shown = tabs.length > 1 ? tabs : [[1, first]];
    const titleOf = ([number, { state }]) => `tab ${number}: ${STATES[stateOf(state)]}`;
    show(threads, shown.map(tab => threadOf(this.#who, tab[1], tabs.length > 1 ? titleOf(tab) : null)));
    show(memory, memoryOf(tabs));
    http.hidden = tabs.some(([, tab]) => tab.state === "open" && tab.outbox.length > 0);
    again.hidden = !http.hidden; // there is room for one of them
    for (const control of [line, second, again, http, text, text.form.querySelector("[type=submit]")])
      control.disabled = !isLive;
  }

  #tabs = [];

  #lineAction() {
    const isThere = this.#tabs.some(([, { state }]) => state !== "left");
    const tab = openOf(this.#tabs)[0]?.[0] ?? this.#tabs[0]?.[0] ?? 1;
    return isThere ? { as: this.#who, leave: true, tab } : { as: this.#who, connect: true, tab };
  }

  #secondAction() {
    const open = openOf(this.#tabs);
    if (open.length > 1)
      return { as: this.#who, leave: true, tab: open[0][0] };
    return { as: this.#who, connect: true, tab: open[0]?.[0] === 2 ? 1 : 2 };
  }
}

const openOf = tabs => tabs.filter(([, { state }]) => state === "open");

/** @param title Of one tab among others; null for the only one. */
function threadOf(who, tab, title) {
  const items = tab?.thread.slice(-8) ?? [];
  return element("ol", { class: "thread", "aria-label": `What ${who} sees${title ? ` in ${title}` : ""}` },
    title ? element("li", {}, element("h3", {}, title)) : null, items.map(item => element("li", { class: classOf(item) }, bubbleOf(item))));
}

const classOf = ({ what, isMine, isNote }) => `bubble ${what === "repeat" ? "repeat" : isMine ? "mine" : isNote ? "failed" : "theirs"}`
  + (what === "unsent" ? " waiting" : what === "failed" ? " failed" : "");

/** One tick: stored. Two: delivered. */
function bubbleOf({ what, id, text, code, isMine }) {
  if (what === "repeat")
    return [element("span", { class: "text" }, `↻ ${id} seen before: dropped`)];
  const said = element("span", { class: "text" }, text);
  if (!isMine)
    return [said, id === undefined ? null : element("span", { class: "ticks" }, String(id))];
  const [ticks, meaning] = what === "delivered" ? [`${id} ✓✓`, "delivered"] : what === "sent" ? [`${id} ✓`, "stored"]
    : what === "failed" ? [code ?? "refused", "refused"] : ["…", "not answered yet"];
  const read = `${id ?? ""} ${meaning}`.trim();
  return [said, element("span", { class: `ticks ${meaning}`, title: meaning, "aria-label": read, role: "img" }, ticks)];
}

/** What would be lost if the page were closed: its outbox; where it would go on; what it has shown and may have to acknowledge again. */
function memoryOf(tabs) {
  const outbox = tabs.flatMap(([, tab]) => tab.outbox);
  const unacked = tabs.flatMap(([, tab]) => tab.unacked);
  const fact = (name, value, isNotable) =>
    element("span", { class: isNotable ? "notable" : null, title: MEANINGS[name] }, `${name} `, element("b", {}, value));
  return [
    fact("outbox", outbox.length === 0 ? "empty" : short(outbox.join(", "), 14), outbox.length > 0),
    fact("position", String(Math.max(0, ...tabs.map(([, tab]) => tab.position)))),
    fact("to ack", unacked.length === 0 ? "none" : short(unacked.join(" "), 12), unacked.length > 0),
  ];
}
