// The list of conversations: as many as one has scrolled to. A row is touched only when something in its conversation has changed.

import { $, arrange, avatar, countOf, element, say, timeOrDay } from "./dom.js";

const AT_ONCE = 50; // rows
const AGAIN_AFTER = 3_000; // milliseconds
const SAID = 200; // characters of a message: more is never seen

export class List {
  #parts;
  #rows = new Map(); // name → row
  #wanted = AT_ONCE;
  #open = null; // the name of the conversation on the screen
  #isAsking = false; // for the next page

  /** @param parts {user, conversations, outbox, history, changed(), choose(name)} */
  constructor(parts) {
    this.#parts = parts;
    $("older-conversations").addEventListener("click", () => this.#more());
    new IntersectionObserver(([edge]) => edge.isIntersecting && this.#more()).observe($("older-conversations"));
  }

  render(open) {
    const { conversations, history } = this.#parts;
    const all = conversations.all;
    const shown = all.slice(0, this.#wanted);
    for (const name of new Set([this.#open, open])) {
      if (conversations.get(name))
        conversations.changed.add(conversations.get(name));
    }

    this.#open = open;
    arrange($("conversations"), shown.map(conversation => {
      const known = this.#rows.get(conversation.other);
      if (known && !conversations.changed.has(conversation))
        return known;
      const row = known ?? this.#row(conversation.other);
      this.#update(row.firstElementChild, conversation);
      return row;
    }));
    for (const conversation of all.slice(this.#wanted))
      this.#rows.delete(conversation.other);
    conversations.changed.clear();
    $("older-conversations").hidden = all.length <= this.#wanted && !history.hasMoreConversations;
  }

  /** Gives the keyboard to a conversation's row. */
  focus(name) {
    this.#rows.get(name)?.firstElementChild.focus();
  }

  #more() {
    this.#wanted += AT_ONCE;
    if (!this.#isAsking)
      void this.#ask();
    this.#parts.changed();
  }

  /** Asks for the next page, if it is wanted, until it comes. */
  async #ask() {
    const { conversations, history } = this.#parts;
    this.#isAsking = conversations.all.length < this.#wanted && history.hasMoreConversations;
    if (!this.#isAsking)
      return;
    try {
      await history.listMore();
      this.#isAsking = false;
    } catch {
      setTimeout(() => void this.#ask(), AGAIN_AFTER);
    }
  }

  #row(other) {
    const name = other === this.#parts.user ? `${other} (you)` : other;
    const button = element("button", { type: "button", class: "conversation", "data-other": other, click: () => this.#parts.choose(other) },
      avatar(other), element("b", {}, name), element("time"),
      element("span", { class: "last", dir: "auto" }), element("span", { class: "count" }));
    button.title = name;
    const row = element("li", {}, button);
    this.#rows.set(other, row);
    return row;
  }

  #update(button, { other, last, unread }) {
    const [, , time, said, count] = button.children;
    button.setAttribute("aria-current", String(this.#open === other));
    say(time, last ? timeOrDay(last.time) : "");
    say(said, this.#said(other, last));
    count.hidden = unread === 0;
    if (unread > 0)
      count.replaceChildren(countOf(unread), element("span", { class: "hidden" }, " unread"));
    else
      count.replaceChildren();
  }

  #said(other, last) {
    const entries = this.#parts.outbox.to(other);
    const failed = entries.filter(entry => entry.failure).length;
    if (entries.length > failed)
      return `${entries.length - failed} waiting to be sent`;
    if (failed > 0)
      return `${failed} not sent`;
    return last ? `${last.from === this.#parts.user ? "You: " : ""}${last.text.slice(0, SAID)}` : "No message yet";
  }
}
