// One message on the screen: what it says, when, and how far it got. What is not sent yet looks like one, too.

import { hueOf, initialOf } from "../state/names.js";
import { element, timeOf } from "./dom.js";
import { body } from "./text.js";

/** @param showJourney Called with the message's id when its ticks are chosen. */
export function messageNode(message, isMine, showJourney) {
  const time = new Date(message.time);
  const meta = element("span", { class: "meta" },
    element("time", { datetime: time.toISOString(), title: time.toLocaleString() }, timeOf(time)),
    isMine ? element("button", { type: "button", click: () => showJourney(message.id) }) : null);
  const node = frame(message.from, isMine, body(message.text), meta);
  node.dataset.id = message.id;
  return node;
}

/** What may change later: the ticks, and whether it stands first or last among its neighbours. */
export function update(node, { delivered }, isMine, isFirst, isLast) {
  node.classList.toggle("first", isFirst);
  node.classList.toggle("last", isLast);
  const state = delivered ? "delivered" : "stored";
  const tick = isMine ? node.querySelector(".meta button") : null;
  if (!tick || tick.className === state)
    return;
  const says = delivered ? "delivered" : "stored, not yet delivered";
  tick.className = state;
  tick.title = says;
  tick.setAttribute("aria-label", `${says}. Show its way`);
  tick.textContent = delivered ? "✓✓" : "✓";
}

/** @param actions {edit(entry), discard(entry)} */
export function waitingNode(entry, user, actions) {
  if (!entry.failure) {
    const node = frame(user, true, body(entry.text), element("span", { class: "meta" }, "waiting to be sent"));
    node.classList.add("waiting", "first", "last");
    return node;
  }

  const button = (name, act) => element("button", { type: "button", class: "quiet", click: () => act(entry) }, name);
  const node = frame(user, true, body(entry.text), null);
  node.classList.add("failed", "first", "last");
  node.append(
    element("p", { class: "refusal" }, `Not sent. ${entry.failure}`),
    element("div", { class: "row" }, button("Edit", actions.edit), button("Discard", actions.discard)));
  return node;
}

function frame(from, isMine, ...content) {
  const node = element("li", { class: isMine ? "message mine" : "message", "data-initial": initialOf(from) },
    element("span", { class: "hidden" }, isMine ? "You: " : `${from}: `),
    element("div", { class: "bubble", dir: "auto" }, ...content));
  node.style.setProperty("--hue", hueOf(from));
  return node;
}
