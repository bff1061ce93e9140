// The four ways to read an inbox, each with what it cost so far. None of them acknowledges.

import { element } from "../screen/dom.js";
import { here } from "../line/http.js";
import { utf8Length } from "../line/wire.js";

const LONG_POLL = 25; // seconds
const numbers = { requests: "Requests", bytes: "Bytes", last: "Last delay", median: "Median", idle: "Idle" };

/** One way, and its card on the screen. */
class Way {
  requests = 0;
  bytes = 0;
  delays = [];
  isRunning = true;
  #numbers = {};
  #meter;

  /** @param arrived Called with the way and a message, as often as it brings one. */
  constructor(name, explanation, reader, arrived) {
    Object.assign(this, { name, explanation, reader, arrived });
    this.abort = new AbortController();
    this.#meter = element("meter", { min: 0, max: 1, value: 0, "aria-label": `Last delay of ${name}, beside the slowest of this round` });
    const list = element("dl");
    for (const [key, label] of Object.entries(numbers)) {
      this.#numbers[key] = element("dd", { "data-number": key }, "–");
      list.append(element("dt", { "data-label": key }, label), this.#numbers[key]);
    }

    this.card = element("section", { class: "way", "aria-label": name, "data-way": name },
      element("h3", {}, name), element("p", {}, explanation), list, this.#meter);
  }

  count({ requests = 0, bytes = 0 }) {
    this.requests += requests;
    this.bytes += bytes;
    this.#numbers.requests.textContent = this.requests;
    this.#numbers.bytes.textContent = this.bytes.toLocaleString();
  }

  /** A round begins: no bar is left of the one before. */
  begin() {
    this.#meter.value = 0;
  }

  /** The round's delay, beside the slowest one of the same round. */
  show(delay, slowest) {
    const sorted = [...this.delays].sort((one, other) => one - other);
    this.#numbers.last.textContent = inWords(delay);
    this.#numbers.median.textContent = inWords(sorted[sorted.length >> 1]);
    this.#meter.value = Math.max(.01, delay / slowest);
  }

  /** What so many idle seconds have cost since then. */
  showIdle(seconds, before) {
    const [requests, bytes] = [this.requests - before.requests, this.bytes - before.bytes];
    this.card.querySelector("[data-label=idle]").textContent = `Idle ${seconds} s`;
    this.#numbers.idle.textContent = `${requests} ${requests === 1 ? "request" : "requests"}, ${bytes.toLocaleString()} bytes`;
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

export class ShortPolling extends Way {
  interval = 3000; // milliseconds

  constructor(reader, arrived) {
    super("Short polling", "Asks again and again, whether there is something or not. The delay is up to the interval.", reader, arrived);
  }

  async run() {
    while (this.isRunning) {
      await this.poll().catch(() => {});
      await pause(this.interval);
    }
  }
}

export class LongPolling extends Way {
  /** @param acknowledged Resolves when what has come is acknowledged: until then it would be answered again at once. */
  constructor(reader, arrived, acknowledged) {
    super("Long polling", "Asks once; the server answers when there is something. One request for each arrival.", reader, arrived);
    this.acknowledged = acknowledged;
  }

  async run() {
    for (let last = 0; this.isRunning;) {
      try {
        const messages = await this.poll(LONG_POLL);
        if (messages.length === 0)
          continue;
        await this.acknowledged();
        if (messages.at(-1).id === last)
          await pause(1000); // nobody acknowledges this one, and the server answers at once while it is there
        last = messages.at(-1).id;
      } catch {
        await pause(1000);
      }
    }
  }
}

export class ServerSentEvents extends Way {
  constructor(reader, arrived) {
    super("Server-Sent Events", "One request whose answer never ends: events one way, over plain HTTP.", reader, arrived);
  }

  run() {
    const url = this.reader.openUrl("/inbox/stream");
    this.source = new EventSource(here(url));
    const head = `GET ${url} HTTP/1.1\r\nHTTP/1.1 200 OK\r\n\r\nretry: 1000\n\n`;
    this.source.addEventListener("error", () => { // after a refusal the browser does not try again
      if (this.source.readyState === EventSource.CLOSED)
        setTimeout(() => this.isRunning && this.run(), 1000);
    });
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

export class OverWebSocket extends Way {
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

export const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const inWords = milliseconds =>
  milliseconds < 1000 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
