// All conversations: their order, and how much in them is unread. Both are kept up to date message by message.
// What a message costs does not grow with those before it.

import { Conversation } from "./conversation.js";

const EXACT = 100; // so many unread, and more, are shown as "99+"
const RECEIPTS = 10_000; // more than come while a page is on its way

/** Event "uncounted", detail: a conversation; only the server can tell how much in it is unread. */
export class Conversations extends EventTarget {
  changed = new Set(); // whose row in the list is to be shown anew
  unreadInAll = 0;
  #user;
  #reading;
  #byOther = new Map();
  #order = [];
  #isOrdered = true;
  #receipts = new Set(); // ids: the latest, for messages that are not at hand, and for answers that were on their way

  constructor(user, reading) {
    super();
    this.#user = user;
    this.#reading = reading;
    reading.addEventListener("raised", event => this.#byOther.has(event.detail) && this.#recount(this.with(event.detail)));
  }

  /** The most recent first; those without a message after them. */
  get all() {
    if (!this.#isOrdered)
      this.#order.sort((one, other) => (other.last?.id ?? 0) - (one.last?.id ?? 0));
    this.#isOrdered = true;
    return this.#order;
  }

  get(other) {
    return this.#byOther.get(other);
  }

  /** The conversation with somebody, begun if there is none yet. */
  with(other) {
    let conversation = this.#byOther.get(other);
    if (!conversation) {
      conversation = new Conversation(other);
      this.#byOther.set(other, conversation);
      this.#order.push(conversation);
      this.#touch(conversation);
    }

    return conversation;
  }

  otherOf(message) {
    return message.from === this.#user ? message.to : message.from;
  }

  isIncoming(message) {
    return message.from !== this.#user;
  }

  /** Gives a message from the server its time, and its receipt if that was faster; each one passes here before it is used. */
  read(message) {
    message.time = Date.parse(message.sentAt);
    if (this.#receipts.has(message.id))
      message.delivered = true;
    return message;
  }

  /** A message that has just come or was just stored. Returns whether it is the newest of its conversation. */
  arrived(message) {
    const conversation = this.with(this.otherOf(message));
    const isNewest = conversation.add(message);
    this.#touch(conversation);
    if (!this.isIncoming(message))
      return isNewest;
    this.#reading.begin(conversation.other, message.id);
    if (message.id <= this.#reading.upTo(conversation.other))
      return isNewest;
    if (isNewest && conversation.isCounted)
      this.#setUnread(conversation, conversation.unread + 1);
    else
      this.#recount(conversation); // perhaps it was counted before
    return isNewest;
  }

  /** A row of the server's list. */
  listed(other, last) {
    const conversation = this.with(other);
    conversation.add(last);
    this.#touch(conversation);
    this.#recount(conversation);
  }

  /** What of the conversation was on the screen, while the page was visible. It counts if nothing unread is above it. */
  seen(conversation, firstId, lastId) {
    const mark = this.#reading.upTo(conversation.other);
    const first = lastId > mark ? conversation.firstUnread(mark, this.#user) : undefined;
    if (first === undefined || first && first.id < firstId)
      return;
    this.#reading.raise(conversation.other, lastId);
    const [from, to] = [mark, lastId].map(id => conversation.indexOf(id + 1));
    const passed = conversation.messages.slice(from, to).filter(message => this.isIncoming(message)).length;
    this.#setUnread(conversation, conversation.last.id <= lastId ? 0 : Math.max(0, conversation.unread - passed));
    if (!conversation.isCounted && conversation.unread < EXACT)
      this.dispatchEvent(new CustomEvent("uncounted", { detail: conversation }));
  }

  readAll(conversation) {
    if (conversation.last)
      this.#reading.raise(conversation.other, conversation.last.id);
    this.#setUnread(conversation, 0);
  }

  /** The first unread message; null if there is none, undefined if it is not at hand. */
  firstUnread(conversation) {
    const mark = this.#reading.upTo(conversation.other);
    return (conversation.last?.id ?? 0) <= mark ? null : conversation.firstUnread(mark, this.#user);
  }

  /** A page of it came from the server. */
  loaded(conversation) {
    this.#touch(conversation);
    this.#recount(conversation);
  }

  /** So many are unread; isAll: it was counted to the end. */
  counted(conversation, unread, isAll) {
    this.#setUnread(conversation, unread);
    conversation.isCounted = isAll;
  }

  /** A receipt. It is kept: an answer that the server gave before it may come after it. */
  delivered(id, to) {
    const message = this.#byOther.get(to)?.get(id);
    if (message)
      message.delivered = true;
    this.#receipts.add(id);
    if (this.#receipts.size > RECEIPTS)
      this.#receipts.delete(this.#receipts.values().next().value);
  }

  /** After an absence: what is not on the screen is asked for when it is opened. */
  letGo() {
    for (const conversation of this.#order) {
      if (conversation.isOpen)
        conversation.lacksReceipts = true;
      else
        conversation.letGo();
    }
  }

  /** The database is another one: nothing of this holds any more. */
  clear() {
    this.#byOther.clear();
    this.#receipts.clear();
    this.#order = [];
    this.changed.clear();
    this.unreadInAll = 0;
  }

  #recount(conversation) {
    const mark = this.#reading.upTo(conversation.other);
    const unread = (conversation.last?.id ?? 0) <= mark ? 0 : conversation.countUnread(mark, this.#user);
    conversation.isCounted = unread !== null;
    if (unread === null)
      this.dispatchEvent(new CustomEvent("uncounted", { detail: conversation }));
    else
      this.counted(conversation, unread, true);
  }

  #setUnread(conversation, unread) {
    if (this.get(conversation.other) !== conversation)
      return; // it is of the database before
    this.unreadInAll += unread - conversation.unread;
    conversation.unread = unread;
    conversation.isCounted ||= unread === 0;
    this.changed.add(conversation);
  }

  #touch(conversation) {
    this.#isOrdered = false;
    this.changed.add(conversation);
  }
}
