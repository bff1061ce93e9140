// The page: signs in, holds the conversations, and puts the parts together.
// Reading order: this file, line.js (the WebSocket and what replaces it), outbox.js, conversations.js, thread.js, drawer.js and wire.js, compare.js.

import { Compare } from "./compare.js";
import { Conversations } from "./conversations.js";
import { $, arrange, element, timeOrDay } from "./dom.js";
import { Drawer } from "./drawer.js";
import { here, reason, request } from "./http.js";
import { Identity } from "./identity.js";
import { Line, positionOf } from "./line.js";
import { Outbox } from "./outbox.js";
import { Thread } from "./thread.js";
import { wire } from "./wire.js";

const TOKEN_KEY = "simplechat.token"; // in sessionStorage: this tab's alone
const EVER = 36_500; // days of history
const PAGE = 50;
const RECENT = 200; // messages out of which the list of conversations is made at first
const PRESENCE_EVERY = 15_000; // milliseconds, like the ones below
const ACK_WITHIN = 20; // acks are gathered for so long
const ACKS_PER_FRAME = 1_024; // the contract's; and when as many are under way the server is asked whether it has read them
const RETRY_SEND_AFTER = 1_000; // rate_limited, storage_unavailable
const POST_AT_ONCE = 1;
const LOAD_AGAIN_AFTER = 3_000; // a page of history that did not come

class App {
  constructor(identity) {
    this.identity = identity;
    this.user = identity.user;
    this.conversations = new Conversations(this.user);
    this.outbox = new Outbox(this.user);
    this.drawer = drawer;
    this.thread = new Thread({
      loadOlder: () => this.loadOlder(),
      showJourney: id => this.drawer.show(this.open.get(id)),
      discard: entry => this.discard(entry),
      sendAnew: entry => this.sendAnew(entry),
    });
    this.open = null; // the conversation on the screen
    this.presence = new Map();
    this.acks = new Set(); // ids that are to be acknowledged
    this.acksUnderWay = new Map(); // id → when its ack was sent: until the server is known to have read it
    this.oldestLoaded = null;
  }

  async start() {
    this.#setUp();
    this.#showStatus();
    await this.#loadRecent();
    this.line = new Line(this.identity, this.newest);
    this.line.addEventListener("connected", () => this.#connected());
    this.line.addEventListener("frame", event => this.#frame(event.detail));
    this.line.addEventListener("messages", event => event.detail.forEach(message => this.#arrived(message)));
    this.line.addEventListener("state", () => this.#stateChanged());
    this.line.addEventListener("failed", () => this.line.isPolling && void this.#checkDatabase());
    this.line.addEventListener("refused", () => this.#signOut("Your token is no longer taken. Sign in again."));
    this.line.start();
    const asked = new URLSearchParams(location.search).get("with");
    if (asked)
      this.openConversation(asked, { focus: false });
    setInterval(() => this.#askPresence(), PRESENCE_EVERY);
    setInterval(() => this.#showStatus(), 1000);
  }

  // ── What is there already ───────────────────────────────────────────────────────────────────────────────────────

  /** The newest messages of all conversations; tried until it works, because nothing makes sense without. */
  async #loadRecent() {
    for (let failures = 0; ; failures++) {
      try {
        const answer = await request(this.identity, "GET", "/messages", { parameters: { limit: RECENT, days: EVER } });
        if (answer.status === 401 || answer.status === 400)
          return this.#signOut(reason(answer));
        if (answer.status === 200) {
          this.#takeHistory(answer.body, "older-conversations");
          this.conversations.assumeDeliveredIsRead();
          this.newest = answer.body.messages.at(-1) ?? null;
          for (const entry of this.outbox.all)
            this.conversations.with(entry.to);
          this.render();
          return undefined;
        }
      } catch {
        // No answer.
      }

      $("status-text").textContent = "No connection to the server. Trying again…";
      await new Promise(resolve => setTimeout(resolve, Math.random() * Math.min(10_000, 500 * 2 ** failures)));
    }
  }

  async loadOlderConversations() {
    const answer = await request(this.identity, "GET", "/messages", { parameters: { limit: RECENT, days: EVER, before: this.oldestLoaded } });
    if (answer.status === 200)
      this.#takeHistory(answer.body, "older-conversations");
    this.render();
  }

  #takeHistory({ messages, hasMore }, moreButton) {
    messages.forEach(message => this.conversations.add(message));
    if (messages.length > 0)
      this.oldestLoaded = Math.min(this.oldestLoaded ?? Infinity, messages[0].id);
    $(moreButton).hidden = !hasMore;
  }

  /** Older messages of the open conversation, a page of them; at first its newest page. */
  async loadOlder() {
    const conversation = this.open;
    if (!conversation || conversation.isLoading || !conversation.hasOlder || performance.now() < conversation.restUntil)
      return;
    conversation.isLoading = true;
    let isAnswered = false;
    const before = conversation.isLoaded ? conversation.oldestId : null;
    try {
      const answer = await request(this.identity, "GET", "/messages", {
        parameters: { with: conversation.other, before: before === Infinity ? null : before, limit: PAGE, days: EVER },
      });
      if (answer.status === 200) {
        isAnswered = true;
        answer.body.messages.forEach(message => conversation.add(message));
        conversation.hasOlder = answer.body.hasMore;
        conversation.isLoaded = true;
        this.#acknowledgeHistory();
      }
    } catch {
      // No answer.
    }

    conversation.isLoading = false;
    if (!isAnswered) {
      conversation.restUntil = performance.now() + LOAD_AGAIN_AFTER;
      setTimeout(() => this.renderThread(), LOAD_AGAIN_AFTER + 50); // which loads again, if it is still wanted
    }

    if (conversation === this.open)
      this.renderThread();
  }

  // ── What comes over the line ────────────────────────────────────────────────────────────────────────────────────

  #connected() {
    this.outbox.load();
    this.outbox.interruptedAll();
    this.#acknowledgeHistory();
    this.#acknowledgeAgain();
    this.#flush();
    void this.#refreshReceipts();
    void this.#askPresence();
    if (this.open && !this.open.isLoaded)
      void this.loadOlder();
  }

  #frame(frame) {
    switch (frame.type) {
      case "message":
        this.#arrived(frame);
        break;
      case "sent":
        this.#stored(frame.clientMessageId, frame);
        break;
      case "delivered":
        this.#delivered(frame);
        break;
      case "pong":
        for (const [id, sentAt] of this.acksUnderWay) {
          if (sentAt < this.line.askedAt)
            this.acksUnderWay.delete(id);
        }

        break;
      case "error":
        this.#refused(frame.clientMessageId, frame.code, frame.message);
        break;
    }
  }

  #arrived(message) {
    const isCompared = message.from === message.to && this.compare?.isRunning; // that view acknowledges it, when all four ways have it
    if (message.to === this.user && !isCompared)
      this.#acknowledge(message.id);
    const { type, ...rest } = message;
    if (!this.conversations.add({ ...rest, delivered: message.to === this.user }))
      return;
    if (message.from !== this.user) {
      this.presence.set(message.from, true);
      $("announce").textContent = `${message.from}: ${message.text}`;
    }

    this.render();
  }

  #acknowledge(id) {
    this.acks.add(id);
    this.ackTimer ??= setTimeout(() => {
      this.ackTimer = null;
      this.#sendAcks();
    }, ACK_WITHIN);
  }

  /** Without a WebSocket they wait, and meanwhile the line's polls acknowledge what they bring. */
  #sendAcks() {
    while (this.acks.size > 0) {
      const ids = [...this.acks].slice(0, ACKS_PER_FRAME);
      if (!this.line.send({ type: "ack", ids }))
        return;
      for (const id of ids) {
        this.acks.delete(id);
        this.acksUnderWay.set(id, performance.now());
      }
    }

    if (this.acksUnderWay.size >= ACKS_PER_FRAME)
      this.line.ask();
  }

  /** What was under way may be lost: the connection is another one, or storage did not take it. */
  #acknowledgeAgain() {
    for (const id of this.acksUnderWay.keys())
      this.acks.add(id);
    this.acksUnderWay.clear();
    this.#sendAcks();
  }

  #acknowledgeHistory() {
    for (const message of this.conversations.undeliveredToMe) {
      message.delivered = true;
      this.#acknowledge(message.id);
    }
  }

  #delivered({ id, to }) {
    const message = this.conversations.markDelivered(id, to);
    const journey = wire.journeyOf(id);
    if (journey)
      wire.step(journey.clientMessageId, { delivered: performance.now() });
    if (message)
      this.render();
  }

  /** Receipts that came while there was no WebSocket. */
  async #refreshReceipts() {
    const first = this.conversations.oldestUndelivered;
    if (first === null)
      return;
    try {
      const answer = await request(this.identity, "GET", "/messages", { parameters: { after: first - 1, limit: RECENT, days: EVER } });
      for (const message of answer.body?.messages ?? []) {
        if (message.from === this.user && message.delivered && !this.conversations.with(message.to).get(message.id)?.delivered)
          this.#delivered(message);
      }
    } catch {
      // With the next connection, then.
    }
  }

  #stateChanged() {
    if (!this.line.isOpen) {
      if (this.wasOpen) {
        if (this.line.closeCode === 1009)
          this.#tooLong();
        this.outbox.interruptedAll();
      }

      if (this.line.isPolling && !this.wasPolling) {
        void this.#checkDatabase();
        void this.#refreshReceipts();
        void this.#askPresence();
      }

      if (this.line.isPolling)
        this.#flush();
    }

    this.wasOpen = this.line.isOpen;
    this.wasPolling = this.line.isPolling;
    this.#showStatus();
  }

  /** The server closes on a message over its limit: then it was the longest of those under way, and sending it again would not help. */
  #tooLong() {
    const longest = this.outbox.underWay.sort((one, other) => other.text.length - one.text.length)[0];
    if (longest)
      this.outbox.failed(longest.clientMessageId, "It is longer than the server takes.");
    this.renderThread();
  }

  /**
   * HTTP works and the WebSocket does not. A browser does not say with which status a handshake was refused, so history is asked for the same position:
   * where the database is another one, or was put back to an earlier day, the answer is 409, and nothing of what is shown holds.
   */
  async #checkDatabase() {
    try {
      const answer = await request(this.identity, "GET", "/messages", { parameters: { after: positionOf(this.line.newest), limit: 1 } });
      if (answer.status !== 409)
        return;
      this.conversations.clear();
      await this.#loadRecent();
      this.line.newest = this.newest;
      if (this.open)
        this.openConversation(this.open.other, { focus: false });
    } catch {
      // The line goes on trying; so does this.
    }
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

  send(text) {
    const entry = this.outbox.add(this.open.other, text);
    wire.step(entry.clientMessageId, { to: entry.to, text, typed: performance.now(), online: this.presence.get(entry.to) });
    this.#flush();
    this.render({ toBottom: true });
  }

  /** Sends what is due, over whatever line there is. Without one it waits. */
  #flush() {
    if (this.line?.isOpen) {
      for (const { clientMessageId, to, text } of this.outbox.due) {
        if (!this.line.send({ type: "send", to, text, clientMessageId }))
          return;
        this.outbox.started(clientMessageId);
        wire.step(clientMessageId, { to, text, out: performance.now(), via: "WebSocket" });
      }
    } else if (this.line?.isPolling && this.outbox.underWay.length < POST_AT_ONCE && this.outbox.due.length > 0) {
      void this.#post(this.outbox.due[0]);
    }
  }

  async #post({ clientMessageId, to, text }) {
    this.outbox.started(clientMessageId);
    wire.step(clientMessageId, { to, text, out: performance.now(), via: "HTTP" });
    try {
      const answer = await request(this.identity, "POST", "/messages", { body: { to, text, clientMessageId } });
      if (answer.status === 200 || answer.status === 201)
        this.#stored(clientMessageId, answer.body);
      else
        this.#refused(clientMessageId, answer.body?.code ?? (answer.status >= 500 ? "storage_unavailable" : ""), reason(answer));
    } catch {
      this.outbox.interrupted(clientMessageId);
      return;
    }

    this.#flush();
  }

  #stored(clientMessageId, { id, to, sentAt }) {
    const entry = this.outbox.get(clientMessageId);
    wire.step(clientMessageId, { id, stored: performance.now(), sentAt });
    if (!entry)
      return;
    this.outbox.remove(clientMessageId);
    this.conversations.add({ id, from: this.user, to, text: entry.text, sentAt, delivered: false });
    this.render();
  }

  #refused(clientMessageId, code, message) {
    if (!clientMessageId) {
      if (code === "storage_unavailable")
        setTimeout(() => this.#acknowledgeAgain(), RETRY_SEND_AFTER);
      return;
    }

    if (code === "rate_limited" || code === "storage_unavailable") {
      setTimeout(() => {
        this.outbox.interrupted(clientMessageId);
        this.#flush();
      }, RETRY_SEND_AFTER);
      return;
    }

    this.outbox.failed(clientMessageId, message);
    this.render();
  }

  sendAnew(entry) {
    this.outbox.remove(entry.clientMessageId);
    this.send(entry.text);
  }

  discard(entry) {
    this.outbox.remove(entry.clientMessageId);
    this.render();
    $("text").focus();
  }

  // ── The screen ──────────────────────────────────────────────────────────────────────────────────────────────────

  openConversation(other, { focus = true } = {}) {
    this.open = this.conversations.with(other);
    this.thread.open(this.open);
    $("thread-title").textContent = other;
    $("thread").hidden = false;
    $("empty").hidden = true;
    $("chat").dataset.open = "true";
    const address = new URL(location.href);
    address.searchParams.set("with", other);
    history.replaceState(null, "", address);
    this.render({ toBottom: true });
    if (!this.open.isLoaded)
      void this.loadOlder();
    void this.#askPresence();
    if (focus)
      $("text").focus();
  }

  closeConversation() {
    const other = this.open?.other;
    this.open = null;
    $("thread").hidden = true;
    $("empty").hidden = false;
    $("chat").dataset.open = "false";
    const address = new URL(location.href);
    address.searchParams.delete("with");
    history.replaceState(null, "", address);
    this.render();
    $("conversations").querySelector(`[data-other="${CSS.escape(other ?? "")}"]`)?.focus();
  }

  render(how) {
    this.renderThread(how);
    this.#renderList();
    const unread = this.conversations.unreadInAll;
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${this.user} – SimpleChat`;
  }

  renderThread(how) {
    if (!this.open)
      return;
    this.thread.render(this.user, this.outbox.to(this.open.other), how);
    if (!document.hidden && !$("chat").hidden)
      this.conversations.markRead(this.open);
    const online = this.presence.get(this.open.other);
    const presence = $("presence");
    presence.dataset.online = String(online === true);
    presence.replaceChildren(...(online === undefined ? [] : [element("span", { class: "dot", "aria-hidden": "true" }), online ? "online" : "away"]));
  }

  #buttons = new Map();

  #renderList() {
    arrange($("conversations"), this.conversations.all.map(conversation => {
      const { other, last } = conversation;
      const unread = this.conversations.unread(conversation);
      const waiting = this.outbox.to(other).length;
      const said = last ? `${last.from === this.user ? "You: " : ""}${last.text}` : "No message yet";
      let item = this.#buttons.get(other);
      if (!item) {
        const click = () => this.openConversation(other);
        item = element("li", {}, element("button", { type: "button", class: "conversation", "data-other": other, click }));
        this.#buttons.set(other, item);
      }

      const button = item.firstElementChild;
      button.setAttribute("aria-current", String(this.open === conversation));
      button.replaceChildren(
        element("b", {}, other === this.user ? `${other} (you)` : other),
        element("time", {}, last ? timeOrDay(last.time) : ""),
        element("span", { class: "last" }, waiting > 0 ? `${waiting} waiting to be sent` : said),
        unread > 0 ? element("span", { class: "count" }, String(unread), element("span", { class: "hidden" }, " unread")) : "");
      return item;
    }));
  }

  #showStatus() {
    const line = this.line;
    const seconds = line?.retryAt ? Math.max(1, Math.ceil((line.retryAt - performance.now()) / 1000)) : null;
    const next = seconds ? `Next try in ${seconds} s.` : "Trying…";
    const [state, text] = !line || (!line.isOpen && !line.isPolling && line.closeCode === null) ? ["connecting", "Connecting…"]
      : line.isOpen ? ["open", "Connected by WebSocket."]
      : line.isPolling ? ["polling", `No WebSocket: long polling meanwhile.`]
      : ["offline", `No connection. What you write waits here.`];
    $("status").hidden = false;
    $("status").dataset.state = state;
    if ($("status-text").textContent !== text)
      $("status-text").textContent = text;
    // Beside the live region: nobody wants to hear seconds counted.
    $("status-next").textContent = state === "open" || state === "connecting" ? "" : next;
    $("retry").hidden = state === "open" || state === "connecting";
  }

  async #askPresence() {
    const conversation = this.open;
    if (!conversation || document.hidden)
      return;
    try {
      const answer = await request(this.identity, "GET", `/users/${encodeURIComponent(conversation.other)}/presence`);
      if (answer.status === 200) {
        this.presence.set(conversation.other, answer.body.online);
        this.renderThread();
      }
    } catch {
      this.presence.delete(conversation.other);
    }
  }

  #setUp() {
    $("sign-in").hidden = true;
    $("chat").hidden = false;
    $("tools").hidden = false;
    $("chat").dataset.open = "false";
    $("me").textContent = this.user;
    const suggested = this.user === "bob" ? "alice" : "bob";
    for (const name of [$("suggested"), document.querySelector(".suggested")])
      name.textContent = suggested;
    const second = this.identity.hasToken ? "." : `?${new URLSearchParams({ user: suggested, with: this.user })}`;
    $("second-user").href = second;
    $("second-user-here").href = second;
    $("sign-out").onclick = () => this.#signOut();
    $("retry").onclick = () => this.line?.retryNow();
    $("back").onclick = () => this.closeConversation();
    $("older-conversations").onclick = () => void this.loadOlderConversations();
    $("new-conversation").onsubmit = event => {
      event.preventDefault();
      const other = $("other").value.trim();
      $("other").value = "";
      if (other)
        this.openConversation(other);
    };
    $("composer").onsubmit = event => {
      event.preventDefault();
      const text = $("text").value;
      $("text").value = "";
      if (text.trim() && this.open)
        this.send(text);
      $("text").focus();
    };
    $("text").onkeydown = event => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        $("composer").requestSubmit();
      }
    };
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden)
        this.render();
    });
    $("compare-toggle").onclick = () => this.#toggleCompare();
    $("compare-close").onclick = () => this.#toggleCompare();
  }

  #toggleCompare() {
    const opens = $("compare").hidden;
    $("compare").hidden = !opens;
    $("chat").hidden = opens;
    $("compare-toggle").setAttribute("aria-expanded", String(opens));
    if (opens) {
      // In Development an inbox of its own, which no other page empties; with a token there is only one's own.
      const reader = this.identity.hasToken ? this.identity : new Identity(`${this.user.slice(0, 120)}.compare`);
      this.compare = new Compare(this.identity, reader);
      this.compare.start().catch(() => $("compare-status").textContent = "No connection to the server.");
      $("compare-one").focus();
    } else {
      this.compare.stop();
      this.render();
      $("compare-toggle").focus();
    }
  }

  #signOut(why = "") {
    sessionStorage.removeItem(TOKEN_KEY);
    if (why)
      sessionStorage.setItem("simplechat.problem", why);
    this.line?.stop();
    location.assign(here("/"));
  }
}

const drawer = new Drawer();

/** In Development a name is enough; elsewhere the server does not take it. */
async function isDevelopment() {
  try {
    const answer = await fetch(here("/users/someone/presence?user=someone"), { cache: "no-store" });
    return answer.status === 200;
  } catch {
    return true;
  }
}

function signIn(identity) {
  void new App(identity).start();
}

async function main() {
  const user = new URLSearchParams(location.search).get("user");
  const token = sessionStorage.getItem(TOKEN_KEY);
  const identity = token ? Identity.fromToken(token) : null;
  if (identity)
    return signIn(identity);
  const byName = await isDevelopment();
  if (user && byName)
    return signIn(new Identity(user));

  $("sign-in").hidden = false;
  $("sign-in-problem").textContent = sessionStorage.getItem("simplechat.problem") ?? "";
  sessionStorage.removeItem("simplechat.problem");
  $(byName ? "name-form" : "token-form").hidden = false;
  $(byName ? "name" : "token").focus();
  $("name-form").onsubmit = event => {
    event.preventDefault();
    location.assign(`?${new URLSearchParams({ user: $("name").value.trim() })}`);
  };
  $("token-form").onsubmit = event => {
    event.preventDefault();
    const entered = Identity.fromToken($("token").value);
    if (!entered) {
      $("sign-in-problem").textContent = "That is no JWT with a “sub” in it.";
      return;
    }

    sessionStorage.setItem(TOKEN_KEY, $("token").value.trim());
    signIn(entered);
  };
}

void main();
