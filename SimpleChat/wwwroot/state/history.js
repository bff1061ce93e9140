// What the server has: pages of history, the list of conversations, how much is unread. What does not come is asked for again later.

import { isOfComparison } from "../compare/comparison.js";
import { request } from "../line/http.js";

const EVER = 36_500; // days of history
const PAGE = 100; // messages
const ABOVE = 30; // of a page around the first unread message
const LONGEST_PAGE = 200; // the contract's
const AGAIN_AFTER = 3_000; // milliseconds
const COUNTS_AT_ONCE = 3;

export class History {
  #identity;
  #conversations;
  #reading;
  #changed;
  #toCount = new Set();
  #counting = 0;
  #listedUpTo = null; // the next page of the list is below

  /** @param changed Called when there is more to be shown. */
  constructor(identity, conversations, reading, changed) {
    this.#identity = identity;
    this.#conversations = conversations;
    this.#reading = reading;
    this.#changed = changed;
    conversations.addEventListener("uncounted", event => this.#count(event.detail));
  }

  isListed = false; // the list of conversations has come: until then nobody knows what is unread
  hasMoreConversations = false;

  /** The first page of the list of conversations. Throws if it did not come, or is not wanted any more. Returns the newest message. */
  async list(isWanted) {
    const page = await this.#get("/conversations", { limit: LONGEST_PAGE });
    if (!isWanted())
      throw new Error("another one was asked for");
    const newest = page.conversations[0]?.last ?? null;
    this.#reading.assumeRead(newest?.id ?? 0);
    this.#take(page);
    return newest;
  }

  /** The next page of it. */
  async listMore() {
    this.#take(await this.#get("/conversations", { before: this.#listedUpTo, limit: LONGEST_PAGE }));
  }

  #take({ conversations, hasMore }) {
    for (const { with: other, last } of conversations.filter(one => !isOfComparison(one.last)))
      this.#conversations.listed(other, this.#conversations.read(last));
    this.#listedUpTo = conversations.at(-1)?.last.id ?? null;
    this.hasMoreConversations = hasMore;
    this.isListed = true;
    this.#changed();
  }

  /** What is to be seen when a conversation is opened: all around the first unread message, or where one was; or its end. */
  open(conversation) {
    if (!this.isListed)
      return undefined;
    return this.#load(conversation, async () => {
      const mark = this.#reading.upTo(conversation.other);
      const isUnread = conversation.unread > 0 || !conversation.isCounted || conversation.last === null;
      const from = isUnread ? mark : conversation.place ? conversation.place.id - 1 : null;
      const after = from === null ? null : await this.#messages(conversation, { after: from, limit: PAGE }).catch(() => null);
      if (after?.hasMore) {
        const before = await this.#messages(conversation, { before: from + 1, limit: ABOVE });
        const page = [...before.messages, ...after.messages.map(message => this.#conversations.read(message))]; // it has waited
        conversation.replaceWith(page, { hasOlder: before.hasMore, isEnd: false });
      } else {
        const newest = await this.#messages(conversation, { limit: PAGE + ABOVE }); // which holds what is unread, too
        conversation.replaceWith(newest.messages, { hasOlder: newest.hasMore, isEnd: true });
      }

      this.#conversations.loaded(conversation);
    });
  }

  newest(conversation) {
    return this.#load(conversation, async () => {
      const page = await this.#messages(conversation, { limit: PAGE });
      conversation.replaceWith(page.messages, { hasOlder: page.hasMore, isEnd: true });
    });
  }

  older(conversation) {
    return this.#load(conversation, async () => {
      const page = await this.#messages(conversation, { before: conversation.messages[0]?.id, limit: PAGE });
      conversation.addOlder(page.messages, page.hasMore);
    });
  }

  newer(conversation) {
    return this.#load(conversation, async () => {
      const lastBefore = conversation.last;
      const page = await this.#messages(conversation, { after: conversation.messages.at(-1).id, limit: PAGE });
      conversation.addNewer(page.messages, !page.hasMore, lastBefore);
    });
  }

  /** Receipts that were missed: asks for all messages at hand from the oldest undelivered one on. Throws if it cannot be told now. */
  async receipts(conversation, delivered) {
    if (conversation.isLoading)
      throw new Error("what will be at hand is not known yet");
    const mine = conversation.messages.filter(message => !this.#conversations.isIncoming(message) && !message.delivered);
    const newest = mine.at(-1)?.id;
    for (let after = mine[0]?.id - 1, hasMore = mine.length > 0; hasMore && after < newest;) {
      const page = await this.#messages(conversation, { after, limit: LONGEST_PAGE });
      page.messages.filter(message => message.delivered && !this.#conversations.isIncoming(message)).forEach(delivered);
      hasMore = page.hasMore;
      after = page.messages.at(-1)?.id ?? newest;
    }

    conversation.lacksReceipts = false;
  }

  async #load(conversation, load) {
    if (conversation.isLoading || performance.now() < conversation.restUntil)
      return;
    conversation.isLoading = true;
    try {
      await load();
    } catch {
      conversation.restUntil = performance.now() + AGAIN_AFTER;
      setTimeout(this.#changed, AGAIN_AFTER + 50); // which loads again, if it is still wanted
    }

    conversation.isLoading = false;
    this.#changed();
  }

  async #messages(conversation, parameters) {
    const page = await this.#get("/messages", { with: conversation.other, days: EVER, ...parameters });
    page.messages.forEach(message => this.#conversations.read(message));
    return page;
  }

  async #get(path, parameters) {
    const answer = await request(this.#identity, "GET", path, { parameters });
    if (answer.status !== 200)
      throw new Error(String(answer.status));
    return answer.body;
  }

  /** Has the server count what is unread, a few conversations at a time. A page is enough: nobody reads more than "99+". */
  #count(conversation) {
    this.#toCount.add(conversation);
    while (this.#counting < COUNTS_AT_ONCE && this.#toCount.size > 0) {
      const next = this.#toCount.values().next().value;
      this.#toCount.delete(next);
      void this.#countOne(next);
    }
  }

  async #countOne(conversation) {
    this.#counting++;
    const [mark, last] = [this.#reading.upTo(conversation.other), conversation.last];
    let isSettled = true;
    try {
      const page = await this.#messages(conversation, { after: mark, limit: LONGEST_PAGE });
      isSettled = mark === this.#reading.upTo(conversation.other) && (page.hasMore || conversation.last === last);
      const unread = page.messages.filter(message => this.#conversations.isIncoming(message)).length;
      if (isSettled)
        this.#conversations.counted(conversation, unread, !page.hasMore);
      this.#changed();
    } catch {
      isSettled = false;
    }

    if (!isSettled) // something came meanwhile, or no answer did
      setTimeout(() => this.#conversations.get(conversation.other) === conversation && this.#count(conversation), AGAIN_AFTER);
    this.#counting--;
    if (this.#toCount.size > 0)
      this.#count(this.#toCount.values().next().value);
  }
}
