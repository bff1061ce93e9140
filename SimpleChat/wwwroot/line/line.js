// The line to the server: a WebSocket, and while none can be had the inbox by long polling. It never gives up.
//
// Events: "connected", "messages" (detail: what polls brought; they acknowledge it themselves), "state" (see the fields),
// "another-database" (nothing that is known holds), "signed-out" (the identity is no longer taken). Frames are too many for events: they
// are handed over.

import { pauseAfter } from "./backoff.js";
import { here } from "./http.js";
import { Identity } from "./identity.js";
import { Polling } from "./polling.js";
import { wire } from "./wire.js";

const HANDSHAKE_WITHIN = 8_000; // milliseconds, like all below
const PING_EVERY = 20_000; // a line that was silent for so long is asked whether it lives
const PONG_WITHIN = 8_000;
const STEADY_AFTER = 5_000; // a connection that lasted so long starts the count of failures anew
const SOON = 3; // failures; a page that nobody looks at then waits
const HIDDEN_EVERY = 60_000;

/** In place of the newest message, where there is none yet. */
export const BEGINNING = { id: 0 };

/** Where to resume after a message: its id, and its sentAt as a proof that the server's database is the one that it is from. */
export const positionOf = message => message.sentAt ? `${message.id}@${message.sentAt}` : String(message.id);

export class Line extends EventTarget {
  isOpen = false; // the WebSocket is up, and "connected" came
  maxMessageBytes = null; // the server's; null until it has said so
  newest = null; // the message with the highest id that this page has without a gap; the line resumes after it. null: not known yet
  retryAt = null; // when a WebSocket is tried again; a time of performance.now()

  #identity;
  #received;
  #polling;
  #socket = null;
  #wasTried = false;
  #isStopped = false;
  #wake = () => {};
  #hangUp = () => {};
  #silence = null;
  #patience = null;

  /** @param received Takes each frame after the first. */
  constructor(identity, received) {
    super();
    this.#identity = identity;
    this.#received = received;
    this.#polling = new Polling(identity, () => this.newest && positionOf(this.newest));
    this.#polling.addEventListener("messages", ({ detail }) => this.dispatchEvent(new CustomEvent("messages", { detail })));
    this.#polling.addEventListener("caught-up", ({ detail }) => this.#passed(detail));
    for (const name of ["another-database", "signed-out"])
      this.#polling.addEventListener(name, () => this.dispatchEvent(new Event(name)));
    this.#polling.addEventListener("answer", () => this.#answered());
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.#ask());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    document.addEventListener("resume", () => this.retryNow()); // out of the freezer
  }

  /** Requests are answered, though there is no WebSocket. */
  get isPolling() {
    return !this.isOpen && this.#polling.isAnswered;
  }

  /** Why the server lets nobody wait just now; null if it does. */
  get refusal() {
    return this.#polling.refusal;
  }

  get state() {
    return this.isOpen ? "open" : this.refusal ? "refused" : this.isPolling ? "polling" : this.#wasTried ? "offline" : "connecting";
  }

  async start() {
    let failures = 0;
    while (!this.#isStopped) {
      const lasted = await this.#openSocket();
      if (this.#isStopped)
        return;
      this.#wasTried = true;
      failures = lasted >= STEADY_AFTER ? 0 : failures + 1;
      this.#polling.start();
      await this.#sleep(document.hidden && failures > SOON ? HIDDEN_EVERY : pauseAfter(failures));
    }
  }

  stop() {
    this.#isStopped = true;
    this.#polling.stop();
    this.#socket?.close();
    this.#hangUp();
    this.#wake();
  }

  /** Tries now instead of later; a line that is open is asked whether it lives. */
  retryNow() {
    if (this.isOpen)
      this.#ask();
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
      const path = this.#identity.openUrl("/chat", { after: this.newest && positionOf(this.newest) });
      const address = here(path);
      address.protocol = address.protocol.replace("http", "ws");
      const head = `GET ${Identity.shown(path)}\nUpgrade: websocket\nSec-WebSocket-Protocol: chat.ack`;
      wire.record({ direction: "out", kind: "ws", text: head });
      const socket = new WebSocket(address, ["chat.ack"]);
      this.#socket = socket;
      let openedAt = null;
      let isOver = false;

      const end = code => {
        if (isOver)
          return;
        isOver = true;
        clearTimeout(handshake);
        clearTimeout(this.#patience);
        clearTimeout(this.#silence);
        this.#patience = this.#silence = null;
        const says = openedAt === null ? "The handshake failed. A browser does not tell a page with which status." : `Closed with ${code}.`;
        wire.record({ direction: "note", kind: "ws", text: says });
        this.isOpen = false;
        this.dispatchEvent(new Event("state"));
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
        if (frame.type === "connected") {
          openedAt = performance.now();
          clearTimeout(handshake);
          this.#opened(frame);
        } else {
          this.#received(frame);
          if (frame.type === "message")
            this.#passed(frame);
        }
      });
    });
  }

  /** This page has this message, and all before it. */
  #passed(message) {
    if (message.id > (this.newest?.id ?? 0))
      this.newest = message;
  }

  #wasAnswered = false;

  #answered() {
    if (this.isPolling && !this.#wasAnswered && !this.refusal)
      this.#wake(); // the server is there: perhaps for a WebSocket too. What failed before still counts.
    this.#wasAnswered = this.isPolling;
    this.dispatchEvent(new Event("state"));
  }

  #opened({ maxMessageBytes }) {
    this.#polling.stop();
    this.#wasAnswered = false;
    this.isOpen = true;
    this.maxMessageBytes = maxMessageBytes ?? null;
    this.dispatchEvent(new Event("state"));
    this.dispatchEvent(new Event("connected"));
  }

  #heard() {
    if (this.#patience !== null)
      clearTimeout(this.#patience); // not for each of ten thousand frames
    this.#patience = null;
    this.#lastHeard = performance.now();
    this.#silence ??= setTimeout(() => this.#listen(), PING_EVERY);
  }

  #lastHeard = 0;

  /** One timer, whatever comes: it is set anew only when it rings. */
  #listen() {
    const silent = performance.now() - this.#lastHeard;
    this.#silence = silent < PING_EVERY ? setTimeout(() => this.#listen(), PING_EVERY - silent) : null;
    if (silent >= PING_EVERY)
      this.#ask();
  }

  /** Asks the line whether it lives; one that does not answer is hung up. */
  #ask() {
    if (this.#patience === null && this.send({ type: "ping" }))
      this.#patience = setTimeout(() => this.#hangUp(), PONG_WITHIN);
  }

  #sleep(milliseconds) {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.retryAt = null;
        this.#wake = () => {};
        this.dispatchEvent(new Event("state"));
        resolve();
      };
      this.retryAt = performance.now() + milliseconds;
      this.dispatchEvent(new Event("state"));
    });
  }
}
