// The line to the server: a WebSocket, and while none can be had the inbox by long polling. It never gives up.
//
// Events: "connected", "frame" (detail: a frame), "messages" (detail: what a poll brought), "state" (see the fields),
// "failed" (a handshake that came to nothing), "refused" (the identity is no longer taken).

import { Identity } from "./identity.js";
import { here, request } from "./http.js";
import { wire } from "./wire.js";

const HANDSHAKE_WITHIN = 8_000; // milliseconds, like all below
const PING_EVERY = 20_000; // a line that was silent for so long is asked whether it lives
const PONG_WITHIN = 8_000;
const FIRST_PAUSE = 500; // doubles with every failure; the pause taken is a random part of it (full jitter), so that
const LONGEST_PAUSE = 30_000; // a thousand pages do not come back in the same moment after a restart
const STEADY_AFTER = 5_000; // a connection that lasted so long starts the count anew
const LONG_POLL = 25; // seconds

/** Where to resume after a message: its id, and its sentAt as a proof that the server's database is the one that it is from. */
export const positionOf = message => message ? `${message.id}@${message.sentAt}` : "0";

const jittered = failures => Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);

export class Line extends EventTarget {
  isOpen = false; // the WebSocket is up, and "connected" came
  isPolling = false; // the last poll was answered
  retryAt = null; // when a WebSocket is tried again; a time of performance.now()
  closeCode = null; // of the last WebSocket
  askedAt = 0; // when the ping was sent that the next pong answers, or an earlier one: what was sent before it is then known to have been read

  #identity;
  #socket = null;
  #polling = null; // an AbortController
  #stopped = false;
  #wake = () => {};
  #silence = null;
  #patience = null;
  #pings = 0; // without a pong yet

  /** @param newest The message with the highest id that this page has without a gap; null for none. The line resumes after it. */
  constructor(identity, newest) {
    super();
    this.#identity = identity;
    this.newest = newest;
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.ask());
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
  }

  async start() {
    let failures = 0;
    while (!this.#stopped) {
      const lasted = await this.#openSocket();
      if (this.#stopped)
        return;
      if (lasted === 0)
        this.dispatchEvent(new Event("failed"));
      failures = lasted >= STEADY_AFTER ? 0 : failures + 1;
      const pause = jittered(failures);
      this.#set({ retryAt: performance.now() + pause });
      this.#startPolling();
      await this.#sleep(pause);
      this.#set({ retryAt: null });
    }
  }

  stop() {
    this.#stopped = true;
    this.#stopPolling();
    this.#socket?.close();
    this.#wake();
  }

  /** Tries now instead of later; does nothing while the line is open. */
  retryNow() {
    if (this.isOpen)
      this.ask();
    else
      this.#wake();
  }

  /** Sends a frame over the WebSocket; false if there is none. */
  send(frame) {
    if (!this.isOpen || this.#socket.readyState !== WebSocket.OPEN)
      return false;
    const text = JSON.stringify(frame);
    this.#socket.send(text);
    wire.record({ direction: "out", kind: "ws", text });
    return true;
  }

  /** One WebSocket from handshake to end. Resolves to how long it was open, in milliseconds; 0 if it never was. */
  #openSocket() {
    return new Promise(done => {
      const path = this.#identity.openUrl("/chat", { after: positionOf(this.newest) });
      const address = here(path);
      address.protocol = address.protocol.replace("http", "ws");
      wire.record({ direction: "out", kind: "ws", text: `GET ${Identity.shown(path)}\nUpgrade: websocket\nSec-WebSocket-Protocol: chat.ack` });
      const socket = new WebSocket(address, ["chat.ack"]);
      this.#socket = socket;
      let openedAt = null;
      let isOver = false;

      const end = code => {
        if (isOver)
          return;
        isOver = true;
        clearTimeout(handshake);
        this.#listenNoMore();
        wire.record({
          direction: "note", kind: "ws",
          text: openedAt === null ? "The handshake failed. A browser does not tell a page with which status." : `Closed with ${code}.`,
        });
        this.#set({ isOpen: false, closeCode: code });
        done(openedAt === null ? 0 : performance.now() - openedAt);
      };

      // A dead network answers no close frame either, so the end is not waited for.
      this.#hangUp = () => {
        socket.close();
        end(1006);
      };
      const handshake = setTimeout(this.#hangUp, HANDSHAKE_WITHIN);
      socket.addEventListener("open", () =>
        wire.record({ direction: "in", kind: "ws", text: `101 Switching Protocols\nSec-WebSocket-Protocol: ${socket.protocol}` }));
      socket.addEventListener("close", event => end(event.code));
      socket.addEventListener("message", event => {
        if (isOver)
          return;
        wire.record({ direction: "in", kind: "ws", text: event.data });
        this.#heard();
        const frame = JSON.parse(event.data);
        if (frame.type === "message" && frame.id > (this.newest?.id ?? 0))
          this.newest = frame;
        if (frame.type === "connected") {
          openedAt = performance.now();
          this.#pings = 0;
          clearTimeout(handshake);
          this.#stopPolling();
          this.#set({ isOpen: true, retryAt: null });
          this.dispatchEvent(new CustomEvent("connected", { detail: frame }));
        } else {
          this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
          if (frame.type === "pong")
            this.#pings--;
        }
      });
    });
  }

  #hangUp = () => {};

  #heard() {
    clearTimeout(this.#patience);
    clearTimeout(this.#silence);
    this.#patience = null;
    this.#silence = setTimeout(() => this.ask(), PING_EVERY);
  }

  #listenNoMore() {
    clearTimeout(this.#patience);
    clearTimeout(this.#silence);
    this.#patience = null;
  }

  /** Asks the line whether it lives; one that does not answer is hung up. */
  ask() {
    if (this.#patience !== null || !this.send({ type: "ping" }))
      return;
    if (this.#pings++ === 0)
      this.askedAt = performance.now();
    this.#patience = setTimeout(() => this.#hangUp(), PONG_WITHIN);
  }

  #startPolling() {
    if (this.#polling || this.#stopped)
      return;
    this.#polling = new AbortController();
    this.#poll(this.#polling.signal);
  }

  #stopPolling() {
    this.#polling?.abort();
    this.#polling = null;
    this.#set({ isPolling: false });
  }

  async #poll(signal) {
    let failures = 0;
    while (!signal.aborted) {
      try {
        // The first one is short: it only finds out whether the server is there.
        const answer = await request(this.#identity, "GET", "/inbox", { parameters: { wait: this.isPolling ? LONG_POLL : 0 }, signal });
        if (answer.status === 401)
          this.dispatchEvent(new Event("refused"));
        if (answer.status !== 200)
          throw new Error(`${answer.status}`);
        const messages = answer.body.messages;
        if (messages.length > 0) {
          this.dispatchEvent(new CustomEvent("messages", { detail: messages }));
          const ack = await request(this.#identity, "POST", "/inbox/ack", { body: { ids: messages.map(message => message.id) }, signal });
          if (ack.status !== 204)
            throw new Error(`${ack.status}`);
        }

        failures = 0;
        if (signal.aborted)
          return;
        const isNews = !this.isPolling;
        this.#set({ isPolling: true });
        if (isNews)
          this.#wake(); // the server is there: perhaps for a WebSocket too
      } catch {
        if (signal.aborted)
          return;
        this.#set({ isPolling: false });
        failures++;
        await new Promise(resolve => setTimeout(resolve, 100 + jittered(failures)));
      }
    }
  }

  #sleep(milliseconds) {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #set(state) {
    Object.assign(this, state);
    this.dispatchEvent(new Event("state"));
  }
}
