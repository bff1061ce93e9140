// The page, put together. start.js only sees to it that this loads. Reading order: this file; line/line.js, how it talks to the server;
// state/chat.js, what it knows; state/conversation.js and state/reading.js, what was said and what was read; state/sender.js, what is sent;
// screen/thread.js, how it is shown; then whatever one is curious about.

import { Chat } from "./state/chat.js";
import { twinOf, whyNot } from "./state/names.js";
import { Comparison } from "./compare/compare.js";
import { Composer } from "./screen/composer.js";
import { $, avatar, element, say } from "./screen/dom.js";
import { eachFrame } from "./screen/frame.js";
import { List } from "./screen/list.js";
import { goTo, goToList, whereNow } from "./screen/route.js";
import { showStatus, watchStorage } from "./screen/status.js";
import { Thread } from "./screen/thread.js";
import { Notifications, showUnread } from "./screen/title.js";
import { mayDrop, showTools } from "./screen/tools.js";
import { leave, signedIn, SignOutEverywhere } from "./sign-in.js";
import { Drawer } from "./wire/drawer.js";

const PRESENCE_EVERY = 15_000; // milliseconds, while somebody looks

class App {
  #news = { count: 0, last: null }; // what the next frame tells screen readers
  #timers = [];
  #isOver = false;

  constructor(identity) {
    const changed = this.changed = eachFrame(() => this.#render());
    const chat = this.chat = new Chat(identity, changed, message => this.#heard(message));
    const { user, conversations, outbox, history } = chat;
    this.drawer = new Drawer(() => chat.open && $("text").focus());
    this.comparison = new Comparison(identity);
    this.composer = new Composer(chat.storage, { send: text => this.#send(text), leave: () => this.#escape() });
    this.list = new List({ user, conversations, outbox, history, changed, choose: other => this.#goTo(other) });
    this.thread = new Thread({
      user, conversations, outbox, history, changed,
      isInSight: () => !this.drawer.covers,
      showJourney: id => this.drawer.show(chat.open.get(id)),
      edit: entry => this.#takeBack(entry, () => this.composer.edit(entry.text)),
      discard: entry => this.#takeBack(entry, () => $("text").focus()),
    });
    this.notifications = new Notifications(chat.storage, other => this.#goTo(other));
    this.elsewhere = new SignOutEverywhere(user, () => this.#leave());
    chat.addEventListener("listed", () => this.#showTwin());
    chat.addEventListener("started-over", () => this.#show(chat.open?.other ?? null));
  }

  start() {
    showTools(this.chat.identity, { signOut: () => void this.#signOut(), toggleCompare: () => this.#toggleCompare() });
    watchStorage();
    const { line } = this.chat;
    line.addEventListener("state", () => this.#isOver || showStatus(line));
    line.addEventListener("signed-out", () => this.#refused());
    addEventListener("popstate", () => this.#route());
    addEventListener("pageshow", event => event.persisted && line.retryNow());
    document.addEventListener("visibilitychange", () => {
      this.changed();
      this.#askPresence();
    });
    this.#timers = [setInterval(() => this.#askPresence(), PRESENCE_EVERY), setInterval(() => showStatus(line), 1_000)];
    $("retry").onclick = () => line.retryNow();
    $("back").onclick = () => goToList() || this.#route();
    $("new-conversation").onsubmit = event => {
      event.preventDefault();
      this.#begin($("other").value.trim());
    };
    showStatus(line);
    this.#route({ focus: false });
    void this.chat.start();
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────────────────────────

  #send(text) {
    this.chat.send(text);
    this.thread.follow();
  }

  #takeBack(entry, then) {
    this.chat.outbox.remove(entry.clientMessageId);
    then();
  }

  #begin(other) {
    const problem = whyNot(other);
    say($("other-problem"), problem ?? "");
    if (problem !== null)
      return;
    $("other").value = "";
    this.#goTo(other);
  }

  #goTo(other, isComparing = false) {
    goTo({ other, isComparing });
    this.#route();
  }

  /** Shows what the address says. */
  #route({ focus = true } = {}) {
    const { other, isComparing } = whereNow();
    const problem = other === null ? null : whyNot(other);
    say($("other-problem"), problem ?? "");
    this.#showComparison(isComparing);
    const before = this.chat.open?.other;
    const wanted = problem === null ? other : null;
    if (wanted !== (before ?? null))
      this.#show(wanted);
    if (!focus || isComparing)
      return;
    if (wanted !== null)
      $("text").focus();
    else if (before !== undefined)
      this.list.focus(before);
  }

  #show(other) {
    this.composer.open(other);
    this.thread.close();
    this.chat.open = other === null ? null : this.chat.conversations.with(other);
    $("thread").hidden = this.chat.open === null;
    $("empty").hidden = this.chat.open !== null;
    $("chat").dataset.open = String(this.chat.open !== null);
    if (this.chat.open) {
      if (!this.chat.isComparing)
        this.thread.open(this.chat.open);
      $("thread-title").replaceChildren(avatar(other), element("span", {}, other));
      this.#askPresence();
      this.#showTwin();
    }

    this.#render();
  }

  #toggleCompare() {
    this.#goTo(whereNow().other, !whereNow().isComparing);
    $(whereNow().isComparing ? "compare-one" : "compare-toggle").focus();
  }

  #showComparison(isComparing) {
    if (isComparing === this.comparison.isRunning)
      return;
    if (isComparing)
      this.thread.close(); // nobody sees it meanwhile
    $("compare").hidden = !isComparing;
    $("chat").hidden = isComparing;
    $("compare-toggle").setAttribute("aria-expanded", String(isComparing));
    this.chat.isComparing = isComparing;
    if (isComparing)
      this.comparison.start();
    else
      this.comparison.stop();
    if (!isComparing && this.chat.open)
      this.thread.open(this.chat.open);
    this.changed();
  }

  #escape() {
    if (this.drawer.covers)
      this.drawer.close();
    else
      this.thread.readAll();
  }

  async #signOut() {
    this.composer.keep();
    if (this.chat.outbox.all.length > 0 && !await mayDrop(this.chat.outbox.all))
      return;
    this.elsewhere.tell();
    this.#leave();
    this.chat.storage.clear();
  }

  /** The token is no longer taken: what waits, drafts and what was read stay for the next sign-in. */
  #refused() {
    this.composer.keep();
    this.#leave("Your token is no longer taken. Sign in again.");
  }

  #leave(why) {
    if (this.#isOver)
      return;
    this.#isOver = true;
    this.#timers.forEach(clearInterval);
    this.chat.stop(); // first: the composer's last draft is not kept
    this.composer.open(null);
    this.drawer.close();
    this.comparison.stop();
    leave(this.chat.user, why);
  }

  // ── The screen ──────────────────────────────────────────────────────────────────────────────────────────────────

  #heard(message) {
    this.#news = { count: this.#news.count + 1, last: message };
    this.notifications.arrived(message);
  }

  #render() {
    if (this.#isOver)
      return;
    this.thread.render();
    this.list.render(this.chat.open?.other ?? null);
    showUnread(this.chat.user, this.chat.conversations.unreadInAll);
    const isNew = this.chat.conversations.all.length === 0;
    say($("empty-title"), isNew ? "Nothing here yet" : "Choose a conversation");
    $("first-steps").hidden = !isNew;
    this.#showPresence();
    const { count, last } = this.#news;
    if (count > 0)
      $("announce").textContent = `${last.from}: ${last.text.slice(0, 500)}${count > 1 ? ` (and ${count - 1} more)` : ""}`;
    this.#news = { count: 0, last: null };
  }

  #showPresence() {
    const known = this.chat.open ? this.chat.presence.of(this.chat.open.other) : undefined;
    const text = known === undefined ? "" : known.isOnline ? "online" : "away";
    $("presence").dataset.online = String(known?.isOnline === true);
    if ($("presence").textContent !== text)
      $("presence").replaceChildren(...(text ? [element("span", { class: "dot", "aria-hidden": "true" }), text] : []));
  }

  #askPresence() {
    if (this.chat.open && !document.hidden && (this.chat.line.isOpen || this.chat.line.isPolling))
      void this.chat.presence.ask(this.chat.open.other);
  }

  /** Somebody else whose name is easily taken for this one. */
  #showTwin() {
    const twin = this.chat.open && twinOf(this.chat.open.other, this.chat.conversations.all.map(conversation => conversation.other));
    say($("twin"), twin ? `Not “${twin}”: capital letters count.` : "");
  }
}

showStatus(null);
void signedIn().then(identity => new App(identity).start());
