// The view "Compare the ways": one inbox read by short polling, long polling, Server-Sent Events and WebSocket at once.
// When all four have a message, it is acknowledged once, and the next may go.

import { newClientMessageId } from "../state/outbox.js";
import { here } from "../line/http.js";
import { Identity } from "../line/identity.js";
import { $ } from "../screen/dom.js";
import { textOf } from "./comparison.js";
import { LongPolling, OverWebSocket, pause, ServerSentEvents, ShortPolling } from "./ways.js";

const GIVE_UP_AFTER = 20_000; // milliseconds: a way that has not brought the message by then is not waited for

export class Comparison {
  isRunning = false;
  #user; // who sends to themselves, and reads
  #ways = [];
  #round = null; // {text, started, id, missing, arrived: way → delay, done, finish}
  #sending = null; // the loop that sends, until it is stopped
  #idle = null; // the countdown, until it ends or another one begins
  #count = 0;
  #run = 0; // which of the runs this is: what an earlier one still waits for does not count
  #starting = Promise.resolve(); // whoever clicks before the ways are there waits for this

  /** In Development the inbox is one of its own, which no other page empties; with a token there is only one's own. */
  constructor(identity) {
    this.#user = identity.hasToken ? identity : new Identity(`${identity.user.slice(0, 120)}.compare`);
    $("compare-one").onclick = () => void this.#sendOne();
    $("compare-many").onclick = () => void this.#toggleSending();
    $("compare-idle").onclick = () => void this.#beIdle();
    $("compare-interval").onchange = () => this.#setInterval();
  }

  start() {
    this.isRunning = true;
    this.#starting = this.#start(++this.#run);
  }

  async #start(run) {
    this.#say("Emptying the inbox first…");
    try {
      for (let messages = await this.#inbox(); messages.length > 0; messages = await this.#inbox())
        await this.#acknowledge(messages.map(message => message.id));
    } catch (error) {
      return this.#say(`The inbox could not be emptied: ${error.message}. Send a message to try again.`);
    }

    if (run !== this.#run)
      return undefined;
    const arrived = (way, message) => this.#arrived(way, message);
    const acknowledged = () => this.#round?.done ?? Promise.resolve();
    this.#ways = [
      new ShortPolling(this.#user, arrived), new LongPolling(this.#user, arrived, acknowledged),
      new ServerSentEvents(this.#user, arrived), new OverWebSocket(this.#user, arrived),
    ];
    this.#setInterval();
    $("ways").replaceChildren(...this.#ways.map(way => way.card));
    this.#ways.forEach(way => void way.run());
    return this.#say(`All four read the inbox of ${this.#user.user}.`);
  }

  stop() {
    this.isRunning = false;
    this.#run++;
    this.#stopSending();
    this.#ways.forEach(way => way.stop());
    this.#ways = [];
    this.#round?.finish();
  }

  /** Waits until the ways are there. If the server could not be reached at the start, it is tried again. */
  async #ready() {
    await this.#starting;
    if (this.#ways.length === 0 && this.isRunning) {
      this.start();
      await this.#starting;
    }
  }

  async #sendOne() {
    if (this.#ways.length === 0)
      await this.#ready();
    if (this.#round || this.#ways.length === 0)
      return;
    let finish;
    const done = new Promise(resolve => finish = resolve);
    const text = textOf(++this.#count, newClientMessageId().slice(0, 8));
    const round = this.#round = { text, started: performance.now(), missing: new Set(this.#ways), arrived: new Map(), done, finish };
    this.#ways.forEach(way => way.begin());
    this.#say(`Message ${this.#count} is on its way…`);
    const late = setTimeout(finish, GIVE_UP_AFTER);
    try {
      round.id = (await this.#request("/messages", { to: this.#user.user, text })).id;
      await Promise.race([this.#allHaveIt(round), done]);
      await this.#acknowledge([round.id]);
      const missing = [...round.missing].map(way => way.name);
      this.#say(missing.length === 0
        ? `All four have message ${this.#count}.`
        : `Message ${this.#count} did not come over: ${missing.join(", ")}.`);
    } catch (error) {
      this.#say(`Message ${this.#count} failed: ${error.message}.`);
      await pause(1000);
    } finally {
      clearTimeout(late);
      this.#round = null;
      finish();
    }
  }

  #allHaveIt(round) {
    return new Promise(resolve => {
      round.resolve = resolve;
      if (round.missing.size === 0)
        resolve();
    });
  }

  async #toggleSending() {
    if (this.#sending)
      return this.#stopSending();
    const loop = this.#sending = {};
    $("compare-many").setAttribute("aria-pressed", "true");
    while (this.#sending === loop) {
      await this.#sendOne();
      await pause(300 + 1200 * Math.random());
    }

    return undefined;
  }

  #stopSending() {
    this.#sending = null;
    $("compare-many").setAttribute("aria-pressed", "false");
  }

  /** Sends nothing for a while, and shows what that costs: most of a chat's time is like that. */
  async #beIdle() {
    this.#stopSending();
    const countdown = this.#idle = {};
    await this.#ready();
    await this.#round?.done;
    if (this.#ways.length === 0)
      return;
    const [run, seconds] = [this.#run, Number($("compare-seconds").value)];
    const before = this.#ways.map(({ requests, bytes }) => ({ requests, bytes }));
    for (let left = seconds; left > 0; left--) {
      this.#say(`Idle: ${left} s to go.`);
      await pause(1000);
      if (run !== this.#run || this.#round || this.#idle !== countdown)
        return;
    }

    this.#ways.forEach((way, at) => way.showIdle(seconds, before[at]));
    this.#say(`Idle for ${seconds} s: that is what asking for nothing costs.`);
  }

  #arrived(way, message) {
    const round = this.#round;
    if (message.text !== round?.text || !round.missing.delete(way))
      return;
    const delay = performance.now() - round.started;
    way.delays.push(delay);
    round.arrived.set(way, delay);
    const slowest = Math.max(...round.arrived.values());
    round.arrived.forEach((its, each) => each.show(its, slowest));
    way.card.classList.remove("fresh");
    requestAnimationFrame(() => way.card.classList.add("fresh"));
    if (round.missing.size === 0)
      round.resolve?.();
  }

  async #inbox() {
    return (await this.#request("/inbox")).messages;
  }

  #acknowledge(ids) {
    return this.#request("/inbox/ack", { ids });
  }

  /** Asks with GET, or hands in a body with POST. Throws if the server refuses, or cannot be reached. */
  async #request(path, body) {
    const post = body && { method: "POST", body: JSON.stringify(body) };
    const headers = { ...this.#user.headers, ...(body ? { "Content-Type": "application/json" } : {}) };
    const response = await fetch(here(this.#user.url(path)), { ...post, headers, cache: "no-store" });
    if (!response.ok)
      throw new Error(`the server answered ${response.status}`);
    return response.status === 204 ? undefined : response.json();
  }

  #setInterval() {
    const short = this.#ways.find(way => way instanceof ShortPolling);
    if (short)
      short.interval = Number($("compare-interval").value);
  }

  #say(what) {
    $("compare-status").textContent = what;
  }
}
