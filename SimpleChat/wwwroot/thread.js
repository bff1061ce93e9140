// The open conversation: its messages with day separators, what still waits in the page, ticks, and older ones as one scrolls up.

import { $, arrange, dayKey, dayOf, element, timeOf } from "./dom.js";

const NEAR = 150; // pixels from an edge that count as being there

export class Thread {
  #nodes = new Map(); // key → {node, state}: a node is built anew only when what it shows changes
  #actions;
  #conversation = null;

  /** @param actions {loadOlder(), showJourney(id, clientMessageId), discard(entry), sendAnew(entry)} */
  constructor(actions) {
    this.#actions = actions;
    $("scroll").addEventListener("scroll", () => {
      if ($("scroll").scrollTop < NEAR)
        this.#actions.loadOlder();
    });
  }

  open(conversation) {
    this.#conversation = conversation;
    this.#nodes.clear();
    $("messages").replaceChildren();
  }

  /** Shows what there is now. Stays at the bottom if it was there; otherwise what is read does not move. */
  render(user, waiting, { toBottom = false } = {}) {
    const conversation = this.#conversation;
    const scroll = $("scroll");
    const stick = toBottom || scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
    const fromBottom = scroll.scrollHeight - scroll.scrollTop;
    const firstBefore = $("messages").querySelector(".message");

    const nodes = [];
    let day = null;
    const separate = time => {
      if (dayKey(time) !== day) {
        day = dayKey(time);
        nodes.push(this.#node(`day ${day}`, dayOf(time), () => element("li", { class: "day" }, dayOf(time))));
      }
    };
    for (const message of conversation.messages) {
      separate(message.time);
      nodes.push(this.#node(message.id, `${message.delivered}`, () => this.#message(message, user)));
    }

    for (const entry of waiting) {
      separate(entry.typedAt);
      nodes.push(this.#node(entry.clientMessageId, entry.failure ?? "", () => this.#waiting(entry)));
    }

    arrange($("messages"), nodes);
    const beginning = nodes.length > 0 ? "This is where it began." : "No message yet. Write the first one.";
    $("older").textContent = conversation.isLoading ? "Loading…" : conversation.hasOlder ? "" : beginning;
    if (stick)
      scroll.scrollTop = scroll.scrollHeight;
    else if (firstBefore && $("messages").querySelector(".message") !== firstBefore)
      scroll.scrollTop = scroll.scrollHeight - fromBottom;
    if (conversation.hasOlder && !conversation.isLoading && scroll.scrollHeight <= scroll.clientHeight + NEAR)
      this.#actions.loadOlder();
  }

  #node(key, state, build) {
    const known = this.#nodes.get(key);
    if (known?.state === state)
      return known.node;
    const node = build();
    this.#nodes.set(key, { node, state });
    if (known?.node.contains(document.activeElement))
      queueMicrotask(() => node.querySelector("button")?.focus());
    known?.node.replaceWith(node);
    return node;
  }

  #message(message, user) {
    const isMine = message.from === user;
    const time = new Date(message.time);
    return element("li", { class: isMine ? "message mine" : "message", "data-id": message.id },
      element("span", { class: "hidden" }, isMine ? "You: " : `${message.from}: `),
      element("div", { class: "body", dir: "auto" }, message.text),
      element("div", { class: "meta" },
        element("time", { datetime: time.toISOString(), title: time.toLocaleString() }, timeOf(time)),
        isMine ? this.#tick(message) : null));
  }

  #tick(message) {
    const says = message.delivered ? "delivered" : "stored, not yet delivered";
    return element("button", {
      type: "button", class: message.delivered ? "delivered" : "stored", "aria-label": `${says}. Show its way`, title: says,
      click: () => this.#actions.showJourney(message.id),
    }, message.delivered ? "✓✓" : "✓");
  }

  #waiting(entry) {
    const item = element("li", { class: entry.failure ? "message mine failed" : "message mine waiting" },
      element("span", { class: "hidden" }, "You: "),
      element("div", { class: "body", dir: "auto" }, entry.text));
    if (!entry.failure) {
      item.append(element("div", { class: "meta" }, "waiting to be sent"));
      return item;
    }

    item.append(
      element("p", { class: "refusal" }, `Not sent. ${entry.failure}`),
      element("div", { class: "row" },
        element("button", { type: "button", class: "quiet", click: () => this.#actions.sendAnew(entry) }, "Try again"),
        element("button", { type: "button", class: "quiet", click: () => this.#actions.discard(entry) }, "Discard")));
    return item;
  }
}
