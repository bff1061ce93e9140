// The keyboard does everything. The list is what `?` shows; letters can be switched off (WCAG 2.2, 2.1.4), the others stay.

import { $, element, headOf } from "./dom.js";

const LIST = [
  ["The timeline", [
    ["←", "a step back"], ["→", "a step on; in a pause: one frame goes on"], ["space", "pause the cables, go on; in the past: play"],
    ["home", "to the beginning"], ["end", "to now"], ["↑ ↓ enter", "in the timeline: choose, and look closely"],
  ]],
  ["The lesson", [
    ["n", "the next thing to do"], ["e", "look closely"], ["1 2 3", "nothing, once, twice"], ["0", "do not ask"],
    ["i", "the ten lessons"], ["v", "the five ways"],
  ]],
  ["Alice and bob", [["a b", "write as alice, as bob; esc leaves"], ["t", "slow motion: off, ½, 1, 2 s"]]],
  ["Bob’s cable (with shift: alice’s)", [
    ["c", "cut, plug in"], ["h", "hold, let go"], ["d", "delay"], ["l", "lose his next ack, her next answer"],
    ["m", "lose the next message to him, from her"], ["x", "stop reading, read"], ["g", "garbage"], ["y", "ask over HTTP"],
  ]],
  ["The server", [["k", "kill now, start"], ["p", "kill at a point"], ["s", "slow disk"], ["f", "full disk"]]],
  ["The run", [["r", "menu"], ["w", "save as a file"], ["o", "open a file"], ["?", "this list"]]],
];

/** @param actions {back, forward, home, end, space, press(key): whether a letter or digit did something} */
export function listenToKeys({ back, forward, home, end, space, press }) {
  const keys = { ArrowLeft: back, ArrowRight: forward, Home: home, End: end, " ": space };
  addEventListener("keydown", event => {
    const { key, target } = event;
    const isTyping = target.matches("input:not([type=range]), select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping || document.querySelector("dialog[open]"))
      return;
    const isTaken = target.matches("input[type=range]") || (key === " " && target.matches("button, summary"));
    const isDone = !isTaken && keys[key] ? (keys[key](), true) : key.length === 1 && (key === "?" || areLettersOn()) && press(key);
    if (isDone)
      event.preventDefault();
  });
}

const areLettersOn = () => !document.documentElement.classList.contains("silent");

export function showKeys() {
  const dialog = $("keys");
  const change = () => document.documentElement.classList.toggle("silent", !letters.checked);
  const letters = element("input", { type: "checkbox", id: "letters", change });
  letters.checked = areLettersOn();
  dialog.replaceChildren(
    headOf(dialog, "Keys"),
    element("div", { class: "groups" }, LIST.map(([title, keys]) => element("section", {}, element("h3", {}, title),
      element("dl", {}, keys.map(([key, what]) =>
        [element("dt", {}, key.split(" ").map(one => element("kbd", {}, one))), element("dd", {}, what)]))))),
    element("p", { class: "help" }, letters, element("label", { for: "letters" }, " Single letters and digits act as keys")));
  dialog.showModal();
}
