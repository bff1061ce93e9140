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
    this.#note(other, { isOnline: true, at: performance.now() });
  }

  /** Asks the server. Resolves to {isOnline, at}; to undefined if no answer came. */
  async ask(other) {
    const at = performance.now(); // the answer is as old as the question: what is heard meanwhile is newer
    try {
      const answer = await request(this.#identity, "GET", `/users/${encodeURIComponent(other)}/presence`);
      if (answer.status === 200) {
        const answered = { isOnline: answer.body.online, at };
        this.#note(other, answered);
        return answered;
      }
    } catch {
      // No answer: nothing is known.
    }

    this.#note(other, { at });
    return undefined;
  }

  /** Keeps what was known of somebody at some time, unless something newer is known. Without isOnline nothing was. */
  #note(other, known) {
    const before = this.#known.get(other);
    if (before?.at > known.at)
      return;
    if (known.isOnline === undefined)
      this.#known.delete(other);
    else
      this.#known.set(other, known);
    if (before?.isOnline !== known.isOnline)
      this.#changed();
  }
}
