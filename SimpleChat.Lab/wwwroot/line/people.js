// Alice and bob, with a tab each, and a second one when they log in twice. Lessons and the panes say what they do in the same words.

import { isUp } from "../record/state.js";
import { Client } from "./client.js";

export class People {
  #clients = new Map(); // "bob 2"
  #told = new Map(); // what the record has heard of each client's memory
  #control;
  #options;

  /** @param options {cables(): who → port, protocol(): the subprotocol to ask for, state(): the live state} */
  constructor(control, options) {
    this.#control = control;
    this.#options = options;
  }

  /**
   * {"as":"alice","send":"hi","times":3}, {"as":"bob","connect":true,"after":true,"tab":2}, {"as":"bob","leave":true},
   * {"as":"alice","again":true}
   */
  do({ as: who, tab = 1, send, times, connect, after, leave, again }) {
    const client = this.#client(who, tab);
    if (connect)
      client.connect({ resumes: after === true });
    if (send !== undefined)
      this.#send(client, who === "alice" ? "bob" : "alice", send, times);
    if (again)
      client.again();
    if (leave)
      client.leave();
  }

  /** A new run: everybody leaves, and has forgotten everything. */
  forget() {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    this.#told.clear();
    clients.forEach(client => client.leave());
  }

  #send(client, to, text, times) {
    if (times === undefined)
      return client.send(to, text);
    for (let at = 1; at <= times; at++)
      client.send(to, `${text} ${at}`);
    return undefined;
  }

  #client(who, tab) {
    const name = `${who} ${tab}`;
    if (!this.#clients.has(name))
      this.#clients.set(name, this.#made(who, tab, name));
    return this.#clients.get(name);
  }

  #made(who, tab, name) {
    const client = new Client(who, {
      address: () => ({
        url: new URL(`ws://${location.hostname}:${this.#options.cables()[who]}/chat?user=${who}`),
        protocol: this.#options.protocol(),
      }),
      mayTry: () => isUp(this.#options.state()) && !this.#options.state().cables[who].isCut,
      tell: what => this.#clients.get(name) === client && this.#tell(name, { ...what, tab }),
    });
    return client;
  }

  /** The memory only when it changed. */
  #tell(name, what) {
    const text = JSON.stringify(what);
    if (what.do === "lost" && this.#told.get(name) === text)
      return;
    if (what.do === "lost")
      this.#told.set(name, text);
    this.#control.do(what);
  }
}
