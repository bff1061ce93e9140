// The view "Compare the ways": one inbox read by short polling, long polling, Server-Sent Events and WebSocket at once. None of the four
// acknowledges; when all of them have a message, it is acknowledged once, and the next may go.

import { $, element } from "./dom.js";
import { here } from "./http.js";
import { newClientMessageId } from "./outbox.js";
import { utf8Length } from "./wire.js";

const GIVE_UP_AFTER = 20_000; // milliseconds: a way that has not brought the message by then is not waited for
const LONG_POLL = 25; // seconds

/** One way to the inbox, and what it cost so far. */
class Way {
  requests = 0;
  bytes = 0;
  delays = [];
  isRunning = true;

  constructor(name, explanation, reader, arrived) {
    Object.assign(this, { name, explanation, reader, arrived });
    this.abort = new AbortController();
    this.numbers = {};
    this.meter = element("meter", { min: 0, max: 1, value: 0, "aria-label": `Last delay of ${name}, beside the slowest` });
    const list = element("dl");
    for (const [key, label] of [["requests", "Requests"], ["bytes", "Bytes"], ["last", "Last delay"], ["median", "Median"]]) {
      this.numbers[key] = element("dd", { "data-number": key }, "–");
      list.append(element("dt", {}, label), this.numbers[key]);
    }

    this.card = element("section", { class: "way", "aria-label": name, "data-way": name },
      element("h3", {}, name), element("p", {}, explanation), list, this.meter);
  }

  count({ requests = 0, bytes = 0 }) {
    this.requests += requests;
    this.bytes += bytes;
    this.show();
  }

  show(slowest = 0) {
    this.numbers.requests.textContent = this.requests;
    this.numbers.bytes.textContent = this.bytes.toLocaleString();
    if (this.delays.length > 0) {
      const sorted = [...this.delays].sort((one, other) => one - other);
      this.numbers.last.textContent = inWords(this.delays.at(-1));
      this.numbers.median.textContent = inWords(sorted[sorted.length >> 1]);
      if (slowest > 0)
        this.meter.value = Math.max(.01, this.delays.at(-1) / slowest);
    }
  }

  async poll(wait) {
    const url = this.reader.url("/inbox", wait ? { wait } : {});
    this.count({ requests: 1, bytes: utf8Length(`GET ${url} HTTP/1.1\r\n`) });
    const response = await fetch(here(url), { headers: this.reader.headers, signal: this.abort.signal, cache: "no-store" });
    const body = await response.text();
    const headers = [...response.headers].reduce((sum, [name, value]) => sum + utf8Length(name + value) + 4, 0);
    this.count({ bytes: utf8Length(`HTTP/1.1 ${response.status} OK\r\n\r\n`) + headers + utf8Length(body) });
    if (!response.ok)
      throw new Error(`${response.status}`);
    const { messages } = JSON.parse(body);
    messages.forEach(message => this.arrived(this, message));
    return messages;
  }

  stop() {
    this.isRunning = false;
    this.abort.abort();
  }
}

class ShortPolling extends Way {
  constructor(reader, arrived) {
    super("Short polling", "Asks again and again, whether there is something or not. The delay is up to the interval.", reader, arrived);
    this.interval = 3000;
  }

  async run() {
    while (this.isRunning) {
      await this.poll().catch(() => {});
      await pause(this.interval);
    }
  }
}

class LongPolling extends Way {
  constructor(reader, arrived, acknowledged) {
    super("Long polling", "Asks once; the server answers when there is something. One request for each arrival.", reader, arrived);
    this.acknowledged = acknowledged;
  }

  async run() {
    while (this.isRunning) {
      try {
        const messages = await this.poll(LONG_POLL);
        if (messages.length > 0)
          await this.acknowledged(); // what was not acknowledged would be answered again at once
      } catch {
        await pause(1000);
      }
    }
  }
}

class ServerSentEvents extends Way {
  constructor(reader, arrived) {
    super("Server-Sent Events", "One request whose answer never ends: events one way, over plain HTTP.", reader, arrived);
  }

  run() {
    const url = this.reader.openUrl("/inbox/stream");
    this.source = new EventSource(here(url));
    const head = `GET ${url} HTTP/1.1\r\nHTTP/1.1 200 OK\r\n\r\nretry: 1000\n\n`;
    this.source.addEventListener("open", () => this.count({ requests: 1, bytes: utf8Length(head) }));
    this.source.addEventListener("message", event => {
      this.count({ bytes: utf8Length(`event: message\ndata: ${event.data}\nid: ${event.lastEventId}\n\n`) });
      this.arrived(this, JSON.parse(event.data));
    });
  }

  stop() {
    super.stop();
    this.source?.close();
  }
}

class OverWebSocket extends Way {
  constructor(reader, arrived) {
    super("WebSocket", "One handshake, then frames both ways: a few bytes around each message.", reader, arrived);
  }

  run() {
    const address = here(this.reader.openUrl("/chat"));
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address, ["chat.ack"]);
    const head = `GET ${address.pathname}${address.search} HTTP/1.1\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n`;
    this.socket.addEventListener("open", () => this.count({ requests: 1, bytes: utf8Length(head) }));
    this.socket.addEventListener("message", event => {
      const length = utf8Length(event.data);
      this.count({ bytes: length + (length < 126 ? 2 : 4) }); // the frame's head, RFC 6455, section 5.2
      const frame = JSON.parse(event.data);
      if (frame.type === "message")
        this.arrived(this, frame);
    });
    this.socket.addEventListener("close", () => this.isRunning && setTimeout(() => this.isRunning && this.run(), 1000));
  }

  stop() {
    super.stop();
    this.socket?.close();
  }
}

export class Compare {
  #ways = [];
  #round = null; // {text, started, id, missing: Set, done}
  #isSending = false;
  #count = 0;

  /**
   * @param sender Who sends.
   * @param reader Whose inbox is read: somebody whom no other page reads for.
   */
  constructor(sender, reader) {
    Object.assign(this, { sender, reader });
    $("compare-one").onclick = () => this.#sendOne();
    $("compare-many").onclick = () => this.#toggleSending();
    $("compare-interval").onchange = () => this.#setInterval();
  }

  isRunning = false;

  async start() {
    this.isRunning = true;
    this.#say("Emptying the inbox first…");
    for (let messages = await this.#inbox(); messages.length > 0; messages = await this.#inbox())
      await this.#acknowledge(messages.map(message => message.id));
    const arrived = (way, message) => this.#arrived(way, message);
    this.#ways = [
      new ShortPolling(this.reader, arrived), new LongPolling(this.reader, arrived, () => this.#round?.done ?? Promise.resolve()),
      new ServerSentEvents(this.reader, arrived), new OverWebSocket(this.reader, arrived),
    ];
    this.#setInterval();
    $("ways").replaceChildren(...this.#ways.map(way => way.card));
    this.#ways.forEach(way => void way.run());
    this.#say(`All four read the inbox of ${this.reader.user}.`);
  }

  stop() {
    this.isRunning = false;
    this.#isSending = false;
    $("compare-many").setAttribute("aria-pressed", "false");
    this.#ways.forEach(way => way.stop());
    this.#ways = [];
    this.#round?.finish();
  }

  async #sendOne() {
    if (this.#round || this.#ways.length === 0)
      return;
    let finish;
    const done = new Promise(resolve => finish = resolve);
    const text = `Comparison ${++this.#count} ${newClientMessageId().slice(0, 8)}`;
    const round = this.#round = { text, started: performance.now(), missing: new Set(this.#ways), slowest: 0, done, finish };
    this.#say(`Message ${this.#count} is on its way…`);
    const late = setTimeout(finish, GIVE_UP_AFTER);
    try {
      const response = await this.#post(this.sender, "/messages", { to: this.reader.user, text });
      if (response.status !== 201)
        throw new Error(`the server answered ${response.status}`);
      round.id = (await response.json()).id;
      await Promise.race([this.#allHaveIt(round), done]);
      await this.#acknowledge([round.id]);
      const missing = [...round.missing].map(way => way.name);
      this.#say(missing.length === 0 ? `All four have message ${this.#count}.` : `Message ${this.#count} did not come over: ${missing.join(", ")}.`);
    } catch (error) {
      this.#say(`It could not be sent: ${error.message}`);
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
    this.#isSending = !this.#isSending;
    $("compare-many").setAttribute("aria-pressed", String(this.#isSending));
    while (this.#isSending) {
      await this.#sendOne();
      await pause(300 + 1200 * Math.random());
    }
  }

  #arrived(way, message) {
    const round = this.#round;
    if (message.text !== round?.text || !round.missing.delete(way))
      return;
    const delay = performance.now() - round.started;
    way.delays.push(delay);
    round.slowest = Math.max(round.slowest, delay);
    this.#ways.forEach(each => each.show(round.slowest));
    way.card.classList.remove("fresh");
    requestAnimationFrame(() => way.card.classList.add("fresh"));
    if (round.missing.size === 0)
      round.resolve?.();
  }

  async #inbox() {
    const response = await fetch(here(this.reader.url("/inbox")), { headers: this.reader.headers, cache: "no-store" });
    return response.ok ? (await response.json()).messages : [];
  }

  async #acknowledge(ids) {
    await this.#post(this.reader, "/inbox/ack", { ids });
  }

  #post(identity, path, body) {
    const headers = { ...identity.headers, "Content-Type": "application/json" };
    return fetch(here(identity.url(path)), { method: "POST", headers, body: JSON.stringify(body) });
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

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const inWords = milliseconds => milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
