// The inbox by long polling, for while no WebSocket can be had.

import { pauseAfter } from "./backoff.js";
import { reason, request } from "./http.js";

const LONG_POLL = 25; // seconds
const HIDDEN_EVERY = 60_000; // milliseconds: nobody is looking

/** Events: "messages" (detail: what came), "answer" (see the fields), "signed-out" (the identity is no longer taken). */
export class Polling extends EventTarget {
  isAnswered = false; // the server is there
  refusal = null; // why it lets nobody wait just now, for people: too many connections, storage away
  #identity;
  #running = null; // an AbortController

  constructor(identity) {
    super();
    this.#identity = identity;
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
        const answer = await request(this.#identity, "GET", "/inbox", { parameters: { wait }, signal });
        if (answer.status === 401)
          return this.dispatchEvent(new Event("signed-out"));
        if (answer.status === 200) {
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
