// A small chat client: one tab of one person, with a real WebSocket over that person's cable. It loses nothing and shows nothing twice:
// it repeats what was not answered under the same clientMessageId, acknowledges what it has shown, and drops what it has seen before.

const AGAIN_AFTER = 1_000; // milliseconds, after a broken line and after a refusal that is for now
const ACKS_WITHIN = 20; // milliseconds: acknowledgements are gathered for so long
const IN_AN_ACK = 1_024; // ids, the contract's

export class Client {
  state = "left"; // or "trying", "open"

  #who;
  #options;
  #socket = null;
  #resumes = false;
  #outbox = new Map(); // clientMessageId → {to, text}: what was not answered yet
  #shown = new Set(); // ids
  #mine = new Set(); // ids of what it sent itself
  #position = null; // the newest message that was shown: {id, sentAt}
  #unacked = new Set(); // ids that were shown, and whose ack is not out, or went out over a line that broke
  #acked = new Set(); // ids whose ack went out over the line that is open
  #acks = null; // timers
  #again = null;
  #code = null; // that the last line ended with

  /**
   * @param options {address(): {url, protocol}, where the person's cable begins; mayTry(): whether a try can come to anything just now;
   *   tell(what): takes what the person sees and what the page remembers, for the record}
   */
  constructor(who, options) {
    this.#who = who;
    this.#options = options;
  }

  /** @param resumes Whether it asks for what came after its position, instead of for its inbox. */
  connect({ resumes = false } = {}) {
    this.#resumes = resumes;
    if (this.state !== "open")
      this.#open();
  }

  leave() {
    clearTimeout(this.#again);
    const socket = this.#socket;
    this.#ended("left", null);
    socket?.close(1000);
  }

  send(to, text) {
    const clientMessageId = crypto.randomUUID().slice(0, 4);
    this.#outbox.set(clientMessageId, { to, text });
    this.#see({ what: "unsent", clientMessageId, to, text });
    this.#push(clientMessageId);
    this.#remember();
  }

  /** Sends once more what was not answered. */
  again() {
    for (const clientMessageId of this.#outbox.keys())
      this.#push(clientMessageId);
  }

  // ── The line ────────────────────────────────────────────────────────────────────────────────────────────────────

  #open() {
    clearTimeout(this.#again);
    if (this.#socket)
      return; // it waits for "connected"
    this.#is("trying");
    if (!this.#options.mayTry()) {
      this.#again = setTimeout(() => this.#open(), AGAIN_AFTER);
      return;
    }

    const { url, protocol } = this.#options.address();
    if (this.#resumes && this.#position)
      url.searchParams.set("after", `${this.#position.id}@${this.#position.sentAt}`);
    const socket = this.#socket = new WebSocket(url, protocol ? [protocol] : []);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#received(JSON.parse(data));
    socket.onclose = ({ code }) => {
      if (socket !== this.#socket)
        return;
      this.#ended("trying", code);
      this.#again = setTimeout(() => this.#open(), AGAIN_AFTER);
    };
  }

  /** An ack has no answer. So what was acknowledged over a line that broke is not known to be. */
  #ended(state, code) {
    this.#socket = null;
    this.#code = code;
    this.#forgetAcks();
    this.#is(state);
  }

  #received(frame) {
    switch (frame.type) {
      case "connected": this.#connected(); break;
      case "sent": this.#sent(frame); break;
      case "message": this.#arrived(frame); break;
      case "delivered": this.#see({ what: "delivered", id: frame.id }); break;
      case "error": this.#refused(frame); break;
    }

    this.#remember();
  }

  /** With its inbox it gets what is not acknowledged. Without, after its position, it acknowledges once more. */
  #connected() {
    this.state = "open";
    if (this.#resumes && this.#position)
      this.#ackSoon();
    else
      this.#unacked.clear();
    this.again();
  }

  #sent({ id, clientMessageId }) {
    this.#mine.add(id);
    if (clientMessageId === undefined) // a step of the ladder that does not know names: its answers come in order
      [clientMessageId] = this.#outbox.keys();
    if (this.#outbox.delete(clientMessageId))
      this.#see({ what: "sent", clientMessageId, id });
  }

  #arrived({ id, from, text, sentAt }) {
    if (this.#mine.has(id))
      return; // what it sent itself comes back to who resumes
    this.#see({ what: this.#shown.has(id) ? "repeat" : "shown", id, from, text });
    if (id === undefined)
      return; // a step of the ladder that stores nothing
    this.#shown.add(id);
    if (id > (this.#position?.id ?? 0))
      this.#position = { id, sentAt };
    this.#unacked.add(id);
    this.#ackSoon();
  }

  /** An error that names no message may be about an ack. */
  #ackAgain() {
    this.#forgetAcks();
    this.#ackSoon();
  }

  /** What was acknowledged is not known to be. */
  #forgetAcks() {
    this.#unacked = new Set([...this.#unacked, ...this.#acked].sort((one, other) => one - other).slice(-IN_AN_ACK));
    this.#acked.clear();
  }

  #ackSoon() {
    this.#acks ??= setTimeout(() => this.#ack(), ACKS_WITHIN);
  }

  #ack() {
    this.#acks = null;
    const ids = [...this.#unacked].slice(-IN_AN_ACK);
    if (ids.length === 0 || this.#socket?.protocol !== "chat.ack" || !this.#write({ type: "ack", ids }))
      return;
    ids.forEach(id => this.#unacked.delete(id) && this.#acked.add(id));
    this.#remember();
  }

  #refused({ code, clientMessageId }) {
    if (code === "storage_unavailable" || code === "rate_limited") {
      this.#see({ what: "failed", code, clientMessageId, isForNow: true });
      setTimeout(() => this.#outbox.has(clientMessageId) ? this.#push(clientMessageId) : this.#ackAgain(), AGAIN_AFTER);
    } else {
      this.#outbox.delete(clientMessageId);
      this.#see({ what: "failed", code, clientMessageId });
    }
  }

  #push(clientMessageId) {
    const { to, text } = this.#outbox.get(clientMessageId);
    this.#write({ type: "send", to, text, clientMessageId });
  }

  #write(frame) {
    if (this.state !== "open" || this.#socket?.readyState !== WebSocket.OPEN)
      return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // ── What the record is told ─────────────────────────────────────────────────────────────────────────────────────

  #is(state) {
    this.state = state;
    this.#remember();
  }

  #see(what) {
    this.#options.tell({ do: "screen", who: this.#who, ...what });
  }

  #remember() {
    this.#options.tell({
      do: "lost", who: this.#who, state: this.state, code: this.#code, outbox: [...this.#outbox.values()].map(({ text }) => text),
      position: this.#position?.id ?? 0, unacked: [...this.#unacked],
    });
  }
}
