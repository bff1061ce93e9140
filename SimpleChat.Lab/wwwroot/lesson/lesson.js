// A lesson that is taken: where one is in it, and what it waits for. Events: "change".

import { fulfilled } from "./matches.js";

export class Lesson extends EventTarget {
  number;
  title;
  steps;
  at = 0; // the step's index
  phase; // "ask", "ready", "doing" or "done"
  isBroken; // the server did not keep a promise in this step: a step of the ladder, say

  #from = 0; // the index of the first entry since the step's commands
  #begin;
  #carryOut;

  /**
   * @param number From 1.
   * @param content The lesson's file.
   * @param actions {begin(step): marks in the record that a step begins; carryOut(commands)}
   */
  constructor(number, content, { begin, carryOut }) {
    super();
    Object.assign(this, { number, title: content.title, steps: content.steps, ladder: content.ladder, ladderSays: content.ladderSays });
    this.#begin = begin;
    this.#carryOut = carryOut;
  }

  get step() {
    return this.steps[this.at];
  }

  get isLast() {
    return this.at === this.steps.length - 1;
  }

  /** What is asked now; null if nothing is. */
  get question() {
    return this.phase === "ask" ? this.step.predict : null;
  }

  /** What the text speaks of: the pattern of an entry that can be looked at closely. Null while there is none. */
  get lookedAt() {
    return this.phase === "done" ? this.step.look ?? null : null;
  }

  /** The patterns of the entries that the text speaks of, when it says what came of the step. */
  get spokenOf() {
    return this.phase === "done" ? [this.step.until, this.step.look].flat().filter(Boolean) : [];
  }

  start() {
    this.#go(0);
  }

  /** The question was answered. */
  answered() {
    this.#is("ready");
  }

  /** What the one button does: carries out the step's commands, or goes on. Returns whether the lesson goes on. */
  press(entries) {
    if (this.phase === "ready") {
      this.#from = entries.length;
      this.#is("doing");
      this.#carryOut(this.step.do);
      this.heard(entries);
    } else if (this.phase !== "ask" && this.isLast) {
      return false;
    } else if (this.phase !== "ask") {
      this.#go(this.at + 1);
    }

    return true;
  }

  /** The record has grown. */
  heard(entries) {
    if (this.phase !== "doing")
      return;
    this.isBroken = entries.slice(this.#from).some(({ kind, held }) => kind === "verdict" && !held);
    if (this.isBroken || fulfilled(this.step.until, entries, this.#from))
      this.#is("done");
  }

  #go(at) {
    this.at = at;
    this.isBroken = false;
    this.#begin(at);
    this.#is(this.step.predict ? "ask" : this.step.do?.length ? "ready" : "done");
  }

  #is(phase) {
    this.phase = phase;
    this.dispatchEvent(new Event("change"));
  }
}
