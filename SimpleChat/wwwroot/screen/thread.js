// The open conversation. In the document are only the messages near what one looks at: older and newer ones come and go as one scrolls.
// It stays at the bottom if it was there, whatever changes its size; otherwise what is read does not move.

import { $, arrange, countOf, say } from "./dom.js";
import { Following } from "./following.js";
import { linesOf } from "./lines.js";
import { update } from "./message.js";

const IN_DOCUMENT = 160; // messages
const SHORTEST = 24; // pixels: so high is a message at least
const STEP = 40; // messages that come at once
const NEAR = 800; // pixels from the end of what is in the document
const SEEN = 12; // pixels of a message that make it seen
const ABOVE = 40; // pixels above the line "new"

export class Thread {
  #parts;
  #following;
  #conversation = null;
  #first = null; // the id of the first message in the document; null: none yet
  #end = null; // and of the last
  #isEndShown = true; // with the last frame the newest message was in the document
  #isPlaced = false; // whether one has been taken to where one wants to read on
  #newFrom = null; // the message under the line "new"
  #hadUnread = false;
  #goal = null; // where to go with this frame: {id: of a message, key: of a line, top: where that is to stand}
  #fitting = 60; // messages that fill the screen, and some: as many are in the document while one follows the newest
  #nodes = new Map(); // by the keys of their lines
  #shown = []; // [id, node] of the messages in the document

  /** @param parts {user, conversations, outbox, history, changed(), isInSight(), showJourney(id), edit(entry), discard(entry)} */
  constructor(parts) {
    this.#parts = parts;
    this.#following = new Following($("scroll"), () => this.#isEndShown, () => this.#scrolled());
    $("scroll").addEventListener("keydown", event => event.key === "End" && this.readAll());
    $("scroll").addEventListener("click", event => this.#following.isOn &&= !event.target.matches(".more"), { capture: true });
    $("newest").addEventListener("click", () => {
      this.readAll();
      $("text").focus();
    });
    const scroll = $("scroll");
    new ResizeObserver(() => {
      this.#fitting = Math.ceil(scroll.clientHeight / SHORTEST) + 8;
      document.documentElement.style.setProperty("--scrollbar", `${scroll.offsetWidth - scroll.clientWidth}px`);
      parts.changed();
    }).observe(scroll);
  }

  open(conversation) {
    this.close();
    this.#conversation = conversation;
    conversation.isOpen = true;
    const isPlaceAtHand = !conversation.place || conversation.get(conversation.place.id);
    if (conversation.lacksReceipts || !isPlaceAtHand || this.#parts.conversations.firstUnread(conversation) === undefined)
      conversation.letGo(); // what is at hand may not hold any more, or where one reads on is not there
  }

  close() {
    if (this.#conversation)
      this.#conversation.isOpen = false;
    if (this.#isPlaced)
      this.#conversation.place = this.#following.isOn ? null : this.#anchor();
    this.#conversation = this.#first = this.#end = this.#newFrom = null;
    this.#following.isOn = true;
    this.#isPlaced = this.#hadUnread = false;
    this.#nodes.clear();
    this.#shown = [];
    $("messages").replaceChildren();
  }

  /** To the newest message. */
  follow() {
    this.#following.isOn = true;
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

  get #isSeen() {
    return !document.hidden && this.#parts.isInSight();
  }

  render() {
    const conversation = this.#conversation;
    if (!conversation)
      return;
    const isNearEnd = conversation.indexOf(this.#first ?? 0) > conversation.messages.length / 2;
    conversation.trim(this.#following.isOn && this.#isSeen || isNearEnd);
    this.#place();
    const anchor = this.#following.isOn ? null : this.#anchor();
    const [first, end] = this.#choose();
    arrange($("messages"), this.#build(first, end));
    this.#settle(anchor);
    this.#look(first, end);
    this.#showEdges();
  }

  /** Where one reads on: at the first unread message, where one was, or at the end. Known when the conversation has come. */
  #place() {
    const first = this.#parts.conversations.firstUnread(this.#conversation);
    const { isLoaded, place } = this.#conversation;
    const isWatched = this.#isPlaced && this.#following.isOn && this.#isSeen;
    if (first && !this.#hadUnread && !isWatched)
      this.#newFrom = first.id;
    this.#hadUnread = Boolean(first);
    const isArriving = !this.#isPlaced && isLoaded;
    const isAway = this.#following.isOn && !this.#isSeen; // what comes meanwhile is not to slip by
    if (this.#newFrom !== null && this.#hadUnread && (isArriving || isAway))
      this.#goal = { id: this.#newFrom, key: "new", top: ABOVE };
    else if (isArriving && place && this.#conversation.get(place.id))
      this.#goal = place;
    this.#isPlaced ||= isLoaded;
  }

  /** Which of the messages at hand are in the document: from where to where. */
  #choose() {
    const { messages, reachesEnd, isLoaded, restUntil } = this.#conversation;
    if (!isLoaded && restUntil === 0)
      return [messages.length, messages.length]; // the server is being asked; what is at hand may have gaps
    let first = this.#first === null ? 0 : this.#conversation.indexOf(this.#first);
    let end = this.#end === null ? messages.length : this.#conversation.indexOf(this.#end + 1);
    if (this.#goal) {
      first = this.#conversation.indexOf(this.#goal.id) - STEP;
      end = first + IN_DOCUMENT;
    } else if (this.#following.isOn) {
      end = messages.length;
      first = end - this.#fitting;
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
    this.#isEndShown = end === messages.length && reachesEnd;
    return [first, end];
  }

  /** The nodes to be shown, the old ones where there are some. */
  #build(first, end) {
    const { user, outbox } = this.#parts;
    const entries = outbox.to(this.#conversation.other);
    const lines = linesOf(this.#conversation, first, end, { user, entries, newFrom: this.#newFrom, actions: this.#parts });
    const known = this.#nodes;
    this.#nodes = new Map();
    this.#shown = [];
    for (const { key, build, message, isFirst, isLast } of lines) {
      const node = known.get(key) ?? build();
      this.#nodes.set(key, node);
      if (!message)
        continue;
      update(node, message, message.from === user, isFirst, isLast);
      this.#shown.push([key, node]);
    }

    return [...this.#nodes.values()];
  }

  /** A message on the screen, and where it stands. */
  #anchor() {
    const { top } = $("scroll").getBoundingClientRect();
    for (const [id, node] of this.#shown) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top)
        return { id, key: id, top: box.top - top };
    }

    return null;
  }

  #settle(anchor) {
    const { key, top } = this.#goal ?? anchor ?? {};
    const node = this.#nodes.get(key);
    const moved = node ? node.getBoundingClientRect().top - $("scroll").getBoundingClientRect().top - top : 0;
    if (this.#following.isOn && !this.#goal)
      this.#following.keep();
    else if (moved !== 0 || this.#goal)
      this.#following.goTo($("scroll").scrollTop + moved);
    this.#goal = null;
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
    if (first > 0 && scrollTop < NEAR && !this.#following.isOn)
      this.#parts.changed(); // there is more at hand
    this.#see();
  }

  /** What is passed in one frame was on the screen, too. */
  #scrolled() {
    if (this.#conversation)
      this.#see();
    this.#parts.changed();
  }

  #see() {
    if (!this.#conversation.isLoaded || !this.#isSeen)
      return;
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
    const { unread, messages, isLoading, isLoaded, restUntil } = this.#conversation;
    const hasOlder = this.#conversation.hasOlder || this.#first !== (messages[0]?.id ?? null);
    const beginning = $("messages").childElementCount > 0 ? "This is where it began." : "No message yet. Write the first one.";
    const isWaiting = restUntil > performance.now();
    say($("older"), isWaiting ? "No answer yet. Trying again…" : isLoading || !isLoaded ? "Loading…" : hasOlder ? "" : beginning);
    $("newest").hidden = this.#following.isOn && unread === 0;
    say($("newest-text"), unread > 0 ? `${countOf(unread)} new ↓` : "Newest ↓");
  }
}
