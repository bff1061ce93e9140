// The rows of the timeline: entries in words, those of one commit together, those that only the panes need left out.

import { wordsOf } from "./words.js";

export class Marks {
  list = [];

  #sends = new Set(); // clientMessageIds that were seen on the cable
  #pushes = new Set(); // "bob 42": what was pushed to whom
  #heartbeats = new Set(); // "1 ping frame": a line's first ones stand for all, which would push everything else off the screen

  /** Takes the next entry. A mark's upTo is the entry up to which the stage is shown when the mark is chosen. */
  add(entry) {
    const last = this.list.at(-1);
    if (isOfOneCommit(last?.entry, entry)) {
      last.entries.push(entry);
      last.upTo = entry.n;
      Object.assign(last, wordsOf(entry, { earlier: last }));
      return;
    }

    const words = this.#isOneMoreHeartbeat(entry) ? null : wordsOf(entry, { isAgain: this.#isAgain(entry) });
    if (words)
      this.list.push({ entry, entries: [entry], n: entry.n, t: entry.t, upTo: entry.n, ...words });
    else if (last && entry.kind !== "frame-on")
      last.upTo = entry.n;
  }

  /** Where an entry stands in the list; that of the last one before it, if it has no mark. */
  indexOf(n) {
    const after = this.list.findIndex(mark => mark.n > n);
    return Math.max(0, (after < 0 ? this.list.length : after) - 1);
  }

  #isOneMoreHeartbeat({ kind, what, line }) {
    const name = `${line} ${what}`;
    if (kind !== "frame" || !(what === "ping frame" || what === "pong frame"))
      return false;
    const isOneMore = this.#heartbeats.has(name);
    this.#heartbeats.add(name);
    return isOneMore;
  }

  #isAgain({ kind, what, way, who, id, clientMessageId }) {
    if (kind !== "frame" || !(what === "send" || what === "message"))
      return false;
    const [known, name] = way === "up" ? [this.#sends, clientMessageId] : [this.#pushes, `${who} ${id}`];
    const isAgain = name !== undefined && known.has(name);
    known.add(name);
    return isAgain;
  }
}

/** The rows of both tables come one after the other. */
const isOfOneCommit = (last, entry) => entry.kind === "rows" && last?.kind === "rows" && last.table !== entry.table
  && entry.n === last.n + 1 && Boolean(last.added?.length) === Boolean(entry.added?.length);
