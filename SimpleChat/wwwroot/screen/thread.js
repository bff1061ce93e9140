// The open conversation. In the document are only the messages near what one looks at: older and newer ones come and go as one scrolls.
// It stays at the bottom if it was there, whatever changes its size; otherwise what is read does not move.

import { $, arrange, countOf, dayKey, dayOf, element, say } from "./dom.js";
import { messageNode, update, waitingNode } from "./message.js";

const IN_DOCUMENT = 160; // messages
const AT_THE_END = 60; // of these, while one follows the newest
const STEP = 40; // messages that come at once
const NEAR = 800; // pixels from the end of what is in the document
const AT_BOTTOM = 40; // pixels
const SEEN = 12; // pixels of a message that make it seen

export class Thread {
  #parts;
  #conversation = null;
  #first = null; // the id of the first message in the document; null: none yet
  #end = null; // and of the last
  #follows = true; // the bottom
  #isPlaced = false; // whether one has been taken to where one wants to read on
  #newFrom = null; // the message under the line "new"
  #hadUnread = false;
  #isGoingToNew = false; // with this frame
  #isEndShown = true; // with the last frame the newest message was in the document
  #nodes = new Map(); // by message id, or what else they show
  #shown = []; // [id, node] of the messages in the document

  /** @param parts {user, conversations, outbox, history, changed(), isInSight(), showJourney(id), edit(entry), discard(entry)} */
  constructor(parts) {
    this.#parts = parts;
    $("scroll").addEventListener("scroll", () => this.#scrolled());
    $("scroll").addEventListener("keydown", event => event.key === "End" && this.readAll());
    $("newest").addEventListener("click", () => {
      this.readAll();
      $("text").focus();
    });
    const sizes = new ResizeObserver(() => this.#resized());
    sizes.observe($("scroll"));
    sizes.observe($("messages"));
  }

  open(conversation) {
    this.close();
    this.#conversation = conversation;
    conversation.isOpen = true;
  }

  close() {
    if (this.#conversation)
      this.#conversation.isOpen = false;
    this.#conversation = this.#first = this.#end = this.#newFrom = null;
    this.#follows = true;
    this.#isPlaced = this.#hadUnread = false;
    this.#nodes.clear();
    this.#shown = [];
    $("messages").replaceChildren();
  }

  /** To the newest message. */
  follow() {
    this.#follows = true;
    this.#isPlaced = true;
    if (!this.#conversation.reachesEnd)
      void this.#parts.history.newest(this.#conversation);
    this.#parts.changed();
  }

  /** To the newest message; all before it count as read. */
  readAll() {
    if (!this.#conversation)
      return;
    this.#parts.conversations.readAll(this.#conversation);
    this.follow();
  }

  render() {
    const conversation = this.#conversation;
    if (!conversation)
      return;
    conversation.trim(this.#follows && !document.hidden);
    this.#place();
    const anchor = this.#follows ? null : this.#anchor();
    const [first, end] = this.#choose();
    arrange($("messages"), this.#build(first, end));
    this.#settle(anchor);
    this.#look(first, end);
    this.#showEdges();
  }

  /** Where one reads on: at the first unread message, or at the end. Known when the conversation has come from the server. */
  #place() {
    const first = this.#parts.conversations.firstUnread(this.#conversation);
    const isWatched = this.#isPlaced && this.#follows && !document.hidden;
    if (first && !this.#hadUnread && !isWatched)
      this.#newFrom = first.id;
    this.#hadUnread = Boolean(first);
    if (!this.#isPlaced && this.#conversation.isLoaded && first)
      this.#follows = false;
    this.#isGoingToNew = this.#newFrom !== null && this.#hadUnread
      && (!this.#isPlaced && this.#conversation.isLoaded || this.#follows && document.hidden);
    this.#isPlaced ||= this.#conversation.isLoaded;
  }

  /** Which of the messages at hand are in the document: from where to where. */
  #choose() {
    const { messages } = this.#conversation;
    let first = this.#first === null ? 0 : this.#conversation.indexOf(this.#first);
    let end = this.#end === null ? messages.length : this.#conversation.indexOf(this.#end + 1);
    if (this.#isGoingToNew) {
      first = this.#conversation.indexOf(this.#newFrom) - STEP;
      end = first + IN_DOCUMENT;
    } else if (this.#follows) {
      end = messages.length;
      first = end - AT_THE_END;
    } else {
      const { scrollTop, scrollHeight, clientHeight } = $("scroll");
      const [isNearTop, isNearEnd] = [scrollTop < NEAR, scrollHeight - scrollTop - clientHeight < NEAR];
      first -= isNearTop ? STEP : 0;
      end += isNearEnd ? STEP : 0;
      if (isNearTop)
        end = Math.min(end, Math.max(0, first) + IN_DOCUMENT);
      else
        first = Math.max(first, Math.min(end, messages.length) - IN_DOCUMENT);
    }

    [first, end] = [Math.max(0, first), Math.min(messages.length, end)];
    [this.#first, this.#end] = [messages[first]?.id ?? null, messages[end - 1]?.id ?? null];
    this.#isEndShown = end === messages.length && this.#conversation.reachesEnd;
    return [first, end];
  }

  /** The nodes to be shown, the old ones where there are some. */
  #build(first, end) {
    const { messages, hasOlder, reachesEnd, other } = this.#conversation;
    const known = this.#nodes;
    this.#nodes = new Map();
    this.#shown = [];
    const nodes = [];
    const put = (key, build) => {
      const node = known.get(key) ?? build();
      this.#nodes.set(key, node);
      nodes.push(node);
      return node;
    };
    let day = null;
    const separate = time => {
      if (dayKey(time) === day)
        return;
      day = dayKey(time);
      put(`day ${day} ${dayOf(time)}`, () => element("li", { class: "day" }, dayOf(time)));
    };

    const entries = this.#parts.outbox.to(other);
    const failed = entries.filter(entry => entry.failure);
    const isBeginning = first === 0 && !hasOlder;
    let next = isBeginning ? 0 : failed.findIndex(entry => (entry.after ?? 0) >= (messages[first]?.id ?? 0));
    const putFailed = before => {
      for (; next >= 0 && next < failed.length && (failed[next].after ?? 0) < before; next++) {
        const entry = failed[next];
        put(`${entry.clientMessageId} ${entry.failure}`, () => waitingNode(entry, this.#parts.user, this.#parts));
      }
    };

    for (let at = first; at < end; at++) {
      const message = messages[at];
      const isMine = message.from === this.#parts.user;
      putFailed(message.id);
      separate(message.time);
      if (message.id === this.#newFrom)
        put("new", () => element("li", { class: "new" }, "new"));
      const node = put(message.id, () => messageNode(message, isMine, this.#parts.showJourney));
      const isFirst = message.id === this.#newFrom || at === first || !isTogether(messages[at - 1], message);
      update(node, message, isMine, isFirst, at + 1 === messages.length || !isTogether(message, messages[at + 1]));
      this.#shown.push([message.id, node]);
    }

    if (end === messages.length && reachesEnd) {
      putFailed(Infinity);
      for (const entry of entries.filter(entry => !entry.failure)) {
        separate(entry.typedAt);
        put(entry.clientMessageId, () => waitingNode(entry, this.#parts.user, this.#parts));
      }
    }

    return nodes;
  }

  /** A message on the screen, and where it stands. */
  #anchor() {
    const { top } = $("scroll").getBoundingClientRect();
    for (const [id, node] of this.#shown) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top)
        return { id, top: box.top };
    }

    return null;
  }

  #settle(anchor) {
    const scroll = $("scroll");
    const node = anchor ? this.#nodes.get(anchor.id) : null;
    if (this.#isGoingToNew) {
      scroll.scrollTop = (this.#nodes.get("new")?.offsetTop ?? 0) - STEP;
      this.#isGoingToNew = false;
      this.#follows = this.#isAtBottom;
    } else if (this.#follows) {
      scroll.scrollTop = scroll.scrollHeight;
    } else if (node) {
      scroll.scrollTop += node.getBoundingClientRect().top - anchor.top;
    }
  }

  /** What is on the screen is read, and what is near it is fetched. */
  #look(first, end) {
    const conversation = this.#conversation;
    const { messages, hasOlder, isLoaded, reachesEnd } = conversation;
    const { scrollTop, scrollHeight, clientHeight } = $("scroll");
    if (!isLoaded)
      void this.#parts.history.open(conversation);
    else if (first === 0 && hasOlder && scrollTop < NEAR)
      void this.#parts.history.older(conversation);
    else if (end === messages.length && !reachesEnd && scrollHeight - scrollTop - clientHeight < NEAR)
      void this.#parts.history.newer(conversation);
    if (first > 0 && scrollTop < NEAR && !this.#follows)
      this.#parts.changed(); // there is more at hand
    if (isLoaded && !document.hidden && this.#parts.isInSight())
      this.#see();
  }

  #see() {
    const { top, bottom } = $("scroll").getBoundingClientRect();
    let [firstId, lastId] = [null, null];
    for (let at = this.#shown.length - 1; at >= 0; at--) {
      const [id, node] = this.#shown[at];
      const box = node.getBoundingClientRect();
      if (box.bottom < top + SEEN)
        break;
      if (box.top > bottom - SEEN)
        continue;
      lastId ??= id;
      firstId = id;
    }

    if (lastId !== null)
      this.#parts.conversations.seen(this.#conversation, firstId, lastId);
  }

  #showEdges() {
    const { unread, messages, isLoading, isLoaded, hasOlder, restUntil } = this.#conversation;
    const beginning = messages.length > 0 || $("messages").childElementCount > 0 ? "This is where it began." : "No message yet. Write the first one.";
    const isWaiting = restUntil > performance.now();
    say($("older"), isWaiting ? "No answer yet. Trying again…" : isLoading || !isLoaded ? "Loading…" : hasOlder ? "" : beginning);
    $("newest").hidden = this.#follows && unread === 0;
    say($("newest-text"), unread > 0 ? `${countOf(unread)} new ↓` : "Newest ↓");
  }

  get #isAtBottom() {
    const { scrollTop, scrollHeight, clientHeight } = $("scroll");
    return this.#isEndShown && scrollHeight - scrollTop - clientHeight < AT_BOTTOM;
  }

  #scrolled() {
    if (!this.#conversation)
      return;
    this.#follows = this.#isAtBottom;
    this.#parts.changed();
  }

  #resized() {
    const scroll = $("scroll");
    document.documentElement.style.setProperty("--scrollbar", `${scroll.offsetWidth - scroll.clientWidth}px`);
    if (this.#follows)
      scroll.scrollTop = scroll.scrollHeight;
    this.#parts.changed();
  }
}

/** One side's messages of the same minute stand together; the last one says when. */
const isTogether = (one, next) => one.from === next.from && minuteOf(one) === minuteOf(next);
const minuteOf = message => Math.floor(message.time / 60_000);
