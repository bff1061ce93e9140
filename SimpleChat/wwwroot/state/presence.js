// Who is there. Nobody tells the page: it asks when it matters, as a conversation is opened or a message sent.
// It knows how old the answer is.

import { request } from "../line/http.js";

export class Presence {
  #identity;
  #changed;
  #known = new Map(); // name → {isOnline, at}: at is a time of performance.now()

  /** @param changed Called when something is known anew. */
  constructor(identity, changed) {
    this.#identity = identity;
    this.#changed = changed;
  }

  /** {isOnline, at}, or undefined. */
  of(other) {
    return this.#known.get(other);
  }

  /** Somebody has just written, or taken a message. */
  isThere(other) {
    this.#note(other, true);
  }

  /** Asks the server. Resolves to {isOnline, at}; to undefined if no answer came. */
  async ask(other) {
    try {
      const answer = await request(this.#identity, "GET", `/users/${encodeURIComponent(other)}/presence`);
      if (answer.status === 200)
        return this.#note(other, answer.body.online);
    } catch {
      // No answer: nothing is known.
    }

    this.#known.delete(other);
    this.#changed();
    return undefined;
  }

  #note(other, isOnline) {
    const known = { isOnline, at: performance.now() };
    const isNews = this.#known.get(other)?.isOnline !== isOnline;
    this.#known.set(other, known);
    if (isNews)
      this.#changed();
    return known;
  }
}
