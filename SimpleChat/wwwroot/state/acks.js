// Acknowledgements: what has come is told to the server, a few at a time. Some get lost with their connection, or are refused:
// so the inbox is looked into after each connection, and what still lies there is acknowledged again.

import { request } from "../line/http.js";

const WITHIN = 20; // milliseconds: acks are gathered for so long
const MISSED = 50; // messages in that time: nobody writes so fast, the server sends what was missed
const LATEST = 1_000; // milliseconds: then what was missed is acknowledged, whether there is more of it or not
const IN_A_FRAME = 1_024; // the contract's
const AGAIN_AFTER = 3_000; // milliseconds

export class Acks {
  #identity;
  #line;
  #arrived;
  #isSkipped;
  #ids = new Set();
  #timer = null;
  #sweep = null; // the timer; null: no sweep is due
  #sweptAll = () => {};

  /**
   * @param arrived Takes a message out of the inbox.
   * @param isSkipped Whether a message is somebody else's to acknowledge.
   */
  constructor(identity, line, arrived, isSkipped) {
    this.#identity = identity;
    this.#line = line;
    this.#arrived = arrived;
    this.#isSkipped = isSkipped;
  }

  add(id) {
    this.#ids.add(id);
    if (this.#timer === null)
      this.#gather(0);
  }

  /** The database is another one: what is to be acknowledged is not there. */
  clear() {
    this.#ids.clear();
  }

  /** More comes of what was missed: a sweep that is due waits for the end of it. */
  putOff(after) {
    if (this.#sweep !== null)
      this.sweep(after);
  }

  /** The server lets who has missed a lot wait for what it costs, and acks cost more than messages: so those have their turn first. */
  #gather(waited) {
    const count = this.#ids.size;
    this.#timer = setTimeout(() => {
      if (this.#ids.size >= count + MISSED && waited < LATEST)
        this.#gather(waited + WITHIN);
      else
        this.#send();
      if (waited > 0)
        this.putOff(AGAIN_AFTER); // the server is busy with these
    }, WITHIN);
  }

  /** Without a WebSocket they wait, and meanwhile the polls acknowledge what they bring. */
  #send() {
    clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#ids.size > 0) {
      const ids = [...this.#ids].slice(0, IN_A_FRAME);
      if (!this.#line.send({ type: "ack", ids }))
        return;
      ids.forEach(id => this.#ids.delete(id));
    }
  }

  /** Empties the inbox in so many milliseconds. done: called when nothing is left there. */
  sweep(after, done = this.#sweptAll) {
    this.#sweptAll = done;
    clearTimeout(this.#sweep);
    this.#sweep = setTimeout(() => {
      this.#sweep = null;
      void this.empty();
    }, after);
  }

  /** Takes and acknowledges what lies in the inbox, until nothing does. */
  async empty() {
    try {
      this.#send();
      while (true) {
        const answer = await request(this.#identity, "GET", "/inbox");
        if (answer.status !== 200)
          break;
        const messages = answer.body.messages.filter(message => !this.#isSkipped(message));
        if (messages.length === 0)
          return this.#sweptAll();
        messages.forEach(this.#arrived);
        const ids = messages.map(message => message.id);
        const ack = await request(this.#identity, "POST", "/inbox/ack", { body: { ids } });
        if (ack.status !== 204)
          break;
        ids.forEach(id => this.#ids.delete(id));
      }
    } catch {
      // No answer.
    }

    if (this.#line.isOpen)
      this.sweep(AGAIN_AFTER);
    return undefined;
  }
}
