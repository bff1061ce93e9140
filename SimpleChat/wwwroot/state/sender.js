// Sends what is in the outbox, over whatever line there is, until it is answered.

import { reason, request } from "../line/http.js";
import { utf8Length, wire } from "../line/wire.js";

const AGAIN_AFTER = 1_000; // milliseconds, after rate_limited and storage_unavailable

export class Sender {
  #identity;
  #line;
  #outbox;
  #actions;

  /** @param actions {stored(message), lastIn(other): the id of the newest message with somebody} */
  constructor(identity, line, outbox, actions) {
    this.#identity = identity;
    this.#line = line;
    this.#outbox = outbox;
    this.#actions = actions;
    outbox.addEventListener("due", () => this.flush());
  }

  /** Sends what is due. Without a line it waits. */
  flush() {
    if (this.#line.isOpen) {
      for (const entry of this.#outbox.due) {
        if (this.#isTooLong(entry))
          continue;
        if (!this.#line.send(frameOf(entry)))
          return;
        this.#outbox.started(entry.clientMessageId);
        wire.step(entry.clientMessageId, { to: entry.to, text: entry.text, out: performance.now(), via: "WebSocket" });
      }
    } else if (this.#line.isPolling && this.#outbox.isIdle) { // one at a time, so that they keep their order
      const next = this.#outbox.due.find(entry => !this.#isTooLong(entry));
      if (next)
        void this.#post(next);
    }
  }

  /** Such a frame would end the connection: it is not sent. */
  #isTooLong(entry) {
    const [bytes, limit] = [utf8Length(JSON.stringify(frameOf(entry))), this.#line.maxMessageBytes];
    if (limit === null || bytes <= limit)
      return false;
    this.#fail(entry.clientMessageId, `It has ${bytes.toLocaleString()} bytes; the server takes ${limit.toLocaleString()} at most.`);
    return true;
  }

  async #post({ clientMessageId, to, text }) {
    this.#outbox.started(clientMessageId);
    wire.step(clientMessageId, { to, text, out: performance.now(), via: "HTTP" });
    try {
      const answer = await request(this.#identity, "POST", "/messages", { body: { to, text, clientMessageId } });
      if (answer.status === 200 || answer.status === 201)
        this.stored(clientMessageId, answer.body);
      else
        this.refused(clientMessageId, answer.body?.code ?? (isForNow(answer.status) ? "storage_unavailable" : ""), reason(answer));
    } catch {
      this.#outbox.interrupted(clientMessageId);
      return;
    }

    this.flush();
  }

  stored(clientMessageId, { id, to, sentAt }) {
    const entry = this.#outbox.get(clientMessageId);
    wire.step(clientMessageId, { id, stored: performance.now(), sentAt });
    if (!entry)
      return;
    this.#actions.stored({ id, to, text: entry.text, sentAt, delivered: false });
    this.#outbox.stored(clientMessageId, id);
  }

  refused(clientMessageId, code, message) {
    if (code !== "rate_limited" && code !== "storage_unavailable")
      return this.#fail(clientMessageId, message);
    setTimeout(() => {
      this.#outbox.interrupted(clientMessageId);
      this.flush();
    }, AGAIN_AFTER);
  }

  #fail(clientMessageId, why) {
    this.#outbox.failed(clientMessageId, why, this.#actions.lastIn(this.#outbox.get(clientMessageId)?.to));
  }
}

const frameOf = ({ clientMessageId, to, text }) => ({ type: "send", to, text, clientMessageId });

/** A refusal that has nothing to do with the message. */
const isForNow = status => status >= 500 || status === 429 || status === 401;
