// What the page knows, and how it stays true: puts together what comes over the line, what is sent, and what is read. It shows nothing.

import { isOfComparison } from "../compare/comparison.js";
import { pauseAfter } from "../line/backoff.js";
import { BEGINNING, Line } from "../line/line.js";
import { wire } from "../line/wire.js";
import { Acks } from "./acks.js";
import { Conversations } from "./conversations.js";
import { History } from "./history.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { Reading } from "./reading.js";
import { Sender } from "./sender.js";
import { UserStorage } from "./storage.js";

const SWEEP_AFTER = 1_000; // milliseconds, like the ones below: what is on its way may still come by itself
const RECEIPTS_AGAIN_AFTER = 3_000;
const JUST_NOW = 5_000; // who wrote so lately is there

/** Events: "listed", "started-over" (the database is another one). */
export class Chat extends EventTarget {
  isComparing = false; // the comparison acknowledges its own messages
  #changed;
  #heard;
  #asked = null; // the last request for the list
  #wasConnected = false;

  /**
   * @param changed Called when there is something new to be shown.
   * @param heard Takes each message that has just come from somebody.
   */
  constructor(identity, changed, heard) {
    super();
    this.#changed = changed;
    this.#heard = heard;
    this.identity = identity;
    this.user = identity.user;
    this.open = null; // the conversation on the screen
    this.storage = new UserStorage(this.user);
    this.reading = new Reading(this.storage);
    this.reading.addEventListener("raised", changed);
    this.conversations = new Conversations(this.user, this.reading);
    this.outbox = new Outbox(this.storage, other => {
      this.conversations.changed.add(this.conversations.with(other));
      changed();
    });
    this.outbox.all.forEach(entry => this.conversations.with(entry.to));
    this.history = new History(identity, this.conversations, this.reading, changed);
    this.presence = new Presence(identity, changed);
    const line = this.line = new Line(identity, frame => this.#frame(frame));
    this.acks = new Acks(identity, line, message => this.#arrived(message), message => isOfComparison(message) && this.isComparing);
    this.sender = new Sender(identity, line, this.outbox, {
      stored: message => this.#keep({ ...message, from: this.user }),
      lastIn: other => this.conversations.get(other)?.last?.id ?? 0,
    });
    line.addEventListener("connected", () => this.#connected());
    line.addEventListener("messages", event => event.detail.forEach(message => this.#take(message)));
    line.addEventListener("state", () => this.#stateChanged());
    line.addEventListener("another-database", () => void this.#startOver());
  }

  send(text) {
    const { clientMessageId, to } = this.outbox.add(this.open.other, text);
    wire.step(clientMessageId, { to, text, typed: performance.now() });
    this.sender.flush();
    void this.presence.ask(to).then(asked => asked && wire.step(clientMessageId, { asked }));
  }

  /** Nothing is sent or kept any more. */
  stop() {
    this.line.stop();
    this.storage.close();
  }

  /** First what was not delivered yet, and is unread; then what there is; the line goes on after it. */
  async start() {
    await this.acks.empty();
    await this.#list();
    await this.line.start();
  }

  #connected() {
    this.outbox.interruptedAll();
    this.sender.flush();
    this.conversations.letGo();
    if (this.line.newest === null)
      void this.#list(); // what came before the line was up
    this.acks.sweep(this.#wasConnected ? SWEEP_AFTER : 0, () => void this.#receipts());
    this.#wasConnected = true;
    if (this.open)
      void this.presence.ask(this.open.other);
  }

  #stateChanged() {
    if (!this.line.isOpen)
      this.outbox.interruptedAll();
    if (this.line.isPolling) {
      void this.#receipts();
      this.sender.flush();
    }
  }

  /** The list of conversations, asked for until it comes; from then on it is kept up to date by what comes. */
  async #list(failures = 0) {
    const asked = this.#asked = {};
    try {
      const newest = await this.history.list(() => asked === this.#asked) ?? BEGINNING;
      if (this.line.newest === null || newest.id > this.line.newest.id)
        this.line.newest = newest;
      this.dispatchEvent(new Event("listed"));
    } catch {
      setTimeout(() => asked === this.#asked && void this.#list(failures + 1), pauseAfter(failures));
    }
  }

  #frame(frame) {
    switch (frame.type) {
      case "message":
        this.#arrived(frame);
        break;
      case "sent":
        this.sender.stored(frame.clientMessageId, frame);
        break;
      case "delivered":
        this.presence.isThere(frame.to);
        this.#delivered(frame);
        break;
      case "error":
        if (frame.clientMessageId)
          this.sender.refused(frame.clientMessageId, frame.code, frame.message);
        else
          this.acks.sweep(SWEEP_AFTER); // an ack was refused
        break;
    }
  }

  #arrived(message) {
    if (message.to !== this.user)
      this.acks.putOff(SWEEP_AFTER); // the receipts of one's own are looked for after the last of them
    else if (!(isOfComparison(message) && this.isComparing))
      this.acks.add(message.id);
    this.#take(message);
  }

  #take(message) {
    if (!isOfComparison(message))
      this.#keep(message);
  }

  #keep(message) {
    message.delivered ??= message.to === this.user;
    if (!this.conversations.arrived(this.conversations.read(message)) || message.from === this.user)
      return this.#changed();
    if (Date.now() - message.time < JUST_NOW)
      this.presence.isThere(message.from);
    this.#heard(message);
    return this.#changed();
  }

  #delivered({ id, to }) {
    this.conversations.delivered(id, to);
    const journey = wire.journeyOf(id);
    if (journey)
      wire.step(journey.clientMessageId, { delivered: performance.now() });
    this.#changed();
  }

  /** Receipts that came while there was no WebSocket: asked for until they are known. */
  async #receipts() {
    try {
      if (this.open)
        await this.history.receipts(this.open, message => this.#delivered(message));
    } catch {
      setTimeout(() => this.line.isOpen && void this.#receipts(), RECEIPTS_AGAIN_AFTER);
    }
  }

  /** The database is another one, or was put back to an earlier day: nothing holds. As at the start, the inbox comes first. */
  async #startOver() {
    this.acks.clear();
    this.conversations.clear();
    this.outbox.all.forEach(entry => this.conversations.with(entry.to));
    this.reading.forget();
    wire.journeys.clear();
    this.history.isListed = false;
    this.line.newest = null;
    this.dispatchEvent(new Event("started-over"));
    await this.acks.empty();
    await this.#list();
    this.line.retryNow();
  }
}
