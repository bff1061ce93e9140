// Long polling, for while no WebSocket can be had: what others of this user's pages took, or sent, from the history, and then the inbox.

import { pauseAfter } from "./backoff.js";
import { reason, request } from "./http.js";

const LONG_POLL = 25; // seconds
const LONGEST_PAGE = 200; // messages; the contract's
const HIDDEN_EVERY = 60_000; // milliseconds: nobody is looking

/**
 * Events: "messages" (detail: what came), "caught-up" (detail: a message up to which nothing is missing), "answer" (see the fields),
 * "another-database" (the position is none of this one's), "signed-out" (the identity is no longer taken).
 */
export class Polling extends EventTarget {
  isAnswered = false; // the server is there
  refusal = null; // why it lets nobody wait just now, for people: too many connections, storage away
  #identity;
  #position;
  #running = null; // an AbortController

  /** @param position Up to where nothing is missing; null if that is not known yet. */
  constructor(identity, position) {
    super();
    this.#identity = identity;
    this.#position = position;
  }

  start() {
    if (this.#running)
      return;
    this.#running = new AbortController();
    void this.#run(this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
    this.isAnswered = false;
    this.refusal = null;
  }

  async #run(signal) {
    let wait = 0; // the first one is short: it only finds out whether the server is there
    let failures = 0;
    let pause = 0;
    while (true) {
      await rest(pause, signal);
      if (signal.aborted)
        return;
      pause = 0;
      try {
        const answer = await this.#catchUp(signal) ?? await request(this.#identity, "GET", "/inbox", { parameters: { wait }, signal });
        if (answer.status === 401)
          return this.dispatchEvent(new Event("signed-out"));
        if (answer.status === 409) {
          this.dispatchEvent(new Event("another-database"));
        } else if (answer.status === 200) {
          await this.#take(answer.body.messages, signal);
          if (wait > 0) { // a short one that is answered says nothing about whether one may wait
            failures = 0;
            this.refusal = null;
          }

          wait = LONG_POLL;
        } else {
          this.refusal = signal.aborted ? null : reason(answer);
          wait = 0;
          pause = Math.max(answer.retryAfter, pauseAfter(++failures));
        }

        this.isAnswered = !signal.aborted;
      } catch {
        this.isAnswered = false;
        this.refusal = null;
        wait = 0;
        pause = 100 + pauseAfter(++failures);
      }

      if (!signal.aborted)
        this.dispatchEvent(new Event("answer"));
    }
  }

  /**
   * What lies in no inbox: this user has sent it, or another page has taken it. It is asked for first: what is in the inbox of another
   * database is not to be taken for the old one's. Returns an answer that was none, null if there is nothing more.
   */
  async #catchUp(signal) {
    for (let position = this.#position(); position; position = this.#position()) {
      const answer = await request(this.#identity, "GET", "/messages", { parameters: { after: position, limit: LONGEST_PAGE }, signal });
      if (answer.status !== 200)
        return answer;
      const { messages, hasMore } = answer.body;
      if (messages.length > 0) {
        this.dispatchEvent(new CustomEvent("messages", { detail: messages }));
        this.dispatchEvent(new CustomEvent("caught-up", { detail: messages.at(-1) }));
      }

      if (!hasMore)
        break;
    }

    return null;
  }

  async #take(messages, signal) {
    if (messages.length === 0)
      return;
    this.dispatchEvent(new CustomEvent("messages", { detail: messages }));
    const ack = await request(this.#identity, "POST", "/inbox/ack", { body: { ids: messages.map(message => message.id) }, signal });
    if (ack.status !== 204)
      throw new Error(String(ack.status));
  }
}

/** Waits; a page that is hidden or offline waits until it is neither, the hidden one a minute at most. */
function rest(milliseconds, signal) {
  return new Promise(resolve => {
    const started = performance.now();
    let timer = null;
    const look = () => {
      clearTimeout(timer);
      const waited = performance.now() - started;
      const left = (document.hidden ? HIDDEN_EVERY : milliseconds) - waited;
      if (!signal.aborted && (left > 0 || !navigator.onLine)) {
        timer = setTimeout(look, navigator.onLine ? left : HIDDEN_EVERY);
        return;
      }

      document.removeEventListener("visibilitychange", look);
      removeEventListener("online", look);
      resolve();
    };

    document.addEventListener("visibilitychange", look);
    addEventListener("online", look);
    signal.addEventListener("abort", look);
    look();
  });
}
