// A run and where one stands in it: at its end, or somewhere in its past. Events: "change".

import { Marks } from "../timeline/marks.js";
import { state } from "./state.js";

const A_MARK_EVERY = 900; // milliseconds, when the past is played

export class Recording extends EventTarget {
  entries = [];
  marks = new Marks();

  #at = null; // the chosen mark's index; null: the end, whatever comes
  #playing = null;

  constructor(title = null) {
    super();
    this.title = title; // of an opened run; null for the one that goes on
  }

  static of(entries, title) {
    const recording = new Recording(title);
    entries.forEach(entry => recording.#take(entry));
    return recording;
  }

  add(entry) {
    this.#take(entry);
    this.#changed();
  }

  /** Whether the end is shown, and what comes will be. */
  get isAtEnd() {
    return this.#at === null;
  }

  get isPlaying() {
    return this.#playing !== null;
  }

  /** The chosen mark's index; -1 if there is none yet. */
  get at() {
    return this.#at ?? this.marks.list.length - 1;
  }

  get upTo() {
    return this.isAtEnd ? this.entries.length : this.marks.list[this.#at].upTo;
  }

  get state() {
    return state(this.entries, this.upTo);
  }

  /** Shows this mark. The last one is the end only if one asks for the end. */
  go(index) {
    const last = this.marks.list.length - 1;
    this.#at = last < 0 ? null : Math.max(0, Math.min(index, last));
    this.#changed();
  }

  back() {
    this.stop();
    this.go(this.at - 1);
  }

  forward() {
    if (this.at >= this.marks.list.length - 1)
      this.end();
    else
      this.go(this.at + 1);
  }

  end() {
    this.stop();
    this.#at = null;
    this.#changed();
  }

  /** From here to the end, a mark at a time. */
  play() {
    if (this.isAtEnd)
      this.go(0);
    this.#playing = setInterval(() => this.forward(), A_MARK_EVERY);
    this.#changed();
  }

  stop() {
    clearInterval(this.#playing);
    this.#playing = null;
    this.#changed();
  }

  #take(entry) {
    this.entries.push(entry);
    this.marks.add(entry);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
