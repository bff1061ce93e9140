// Asks before each fault, and takes a class through the lessons. What somebody does without being asked is always possible.

import { $, element, headOf } from "../dom.js";
import { notice } from "../notice.js";
import { state } from "../record/state.js";
import { faultWords } from "../timeline/faults.js";
import { factOf } from "./facts.js";
import { Lesson } from "./lesson.js";
import { fulfilled } from "./matches.js";

/** The faults that can make a difference to what bob sees of the next message. */
const ASKED = ["cut", "lose", "kill-at", "stop-reading", "full-disk"];

const WITHIN = 2_000; // milliseconds: a command is waited for so long,
const FRAMES = 4; // and for so many steps of slow motion

export class Teacher {
  lesson = null;

  #act;
  #live;
  #changed;
  #list = null; // of the ten, once it was fetched
  #pending = null; // a fault that waits for an answer
  #next = null; // a lesson that waits for its server
  #before = null; // the run that was going on when it was chosen
  #slow = null; // milliseconds that somebody chose: lessons do not change them
  #isAsking = true;

  /** @param options {act(command), live(): the run that goes on, changed()} */
  constructor({ act, live, changed }) {
    this.#act = act;
    this.#live = live;
    this.#changed = changed;
  }

  /** What is asked just now; null if nothing is. */
  get question() {
    if (this.#pending)
      return `${faultWords({ ...this.#pending, kind: "fault" }).label}. What will bob see of alice’s next message?`;
    return this.lesson?.question?.question ?? null;
  }

  chooseSlow(ms) {
    this.#slow = ms;
  }

  /** A switch is thrown: in free play one first says what will come of it. */
  fault(command) {
    const isThrown = ASKED.includes(command.what) && command.on !== false;
    if (this.lesson === null && this.#isAsking && isThrown)
      this.#pending = command;
    else
      this.#act(command);
    this.#changed();
  }

  /** @param says "nothing", "once" or "twice"; null for no answer. */
  answer(says) {
    const question = this.question;
    if (says !== null)
      this.#act({ do: "predict", about: this.lesson?.question?.about ?? "bob", says, about_text: question });
    else if (this.#pending)
      this.#isAsking = false;
    if (this.#pending)
      this.#act(this.#pending);
    this.#pending = null;
    if (this.lesson?.question) {
      this.lesson.answered();
      $("press").focus();
    }

    this.#changed();
  }

  // ── Lessons ─────────────────────────────────────────────────────────────────────────────────────────────────────

  press() {
    if (this.lesson && !this.lesson.press(this.#live().entries))
      this.leave();
  }

  /** The lesson ends, the run goes on. */
  leave() {
    this.lesson = this.#next = null;
    history.replaceState(null, "", location.pathname);
    this.#changed();
  }

  /** Whether a lesson is taken, or about to begin. */
  get isBusy() {
    return this.lesson !== null || this.#next !== null;
  }

  async choose() {
    const dialog = $("lessons");
    const list = await this.#lessons();
    dialog.replaceChildren(
      headOf(dialog, "Ten lessons"),
      element("ol", {}, list.map(({ title, about }, at) => element("li", {}, element("button", {
        type: "button", class: "quiet", click: () => {
          dialog.close();
          void this.begin(at + 1);
        },
      }, element("b", {}, String(at + 1)), element("span", {}, element("b", {}, title), element("br"), about))))),
      element("p", { class: "help" }, "Each begins with a new database, and can be left at any point to play on with what is there."));
    if (!dialog.open)
      dialog.showModal();
  }

  /** Begins the lesson that the page's address names. False if it names none. */
  startLinked() {
    const number = Number(/^#lesson=(\d+)$/.exec(location.hash)?.[1]);
    if (!number || this.lesson)
      return false;
    void this.begin(number);
    return true;
  }

  async begin(number) {
    const about = (await this.#lessons())[number - 1];
    if (!about)
      return;
    const content = await (await fetch(`lessons/${about.file}`)).json();
    const lesson = new Lesson(number, content, {
      begin: step => this.#act({ do: "lesson", n: number, step: step + 1 }),
      carryOut: commands => void this.#carryOut(commands, lesson),
    });
    lesson.addEventListener("change", this.#changed);
    this.lesson = null;
    this.#pending = null;
    this.#next = lesson;
    this.#before = this.#live();
    history.replaceState(null, "", `#lesson=${number}`);
    this.#act({ do: "fresh" });
  }

  /** The record has grown. A lesson starts when its server is up. */
  heard() {
    const { entries } = this.#live();
    if (this.#next && this.#live() !== this.#before && entries.some(({ kind, state }) => kind === "server" && state === "up")) {
      this.lesson = this.#next;
      this.#next = null;
      if (this.#slow !== null)
        this.#act({ do: "slow", ms: this.#slow });
      this.lesson.start();
      $("press").focus();
    }

    this.lesson?.heard(entries);
  }

  async #carryOut(commands, lesson) {
    for (const command of commands) {
      if (this.lesson !== lesson)
        return; // it was left meanwhile
      if (command.do === "slow" && this.#slow !== null)
        continue;
      const recording = this.#live();
      const s = state(recording.entries);
      const fact = factOf(command, s);
      const from = recording.entries.length;
      this.#act(command);
      if (fact)
        await this.#happened(recording, fact, from, WITHIN + FRAMES * s.slow);
    }
  }

  /** Waits for an entry, but not for ever: a lesson goes on. */
  #happened(recording, fact, from, within) {
    return new Promise(done => {
      const look = () => fulfilled(fact, recording.entries, from) && end();
      const end = () => {
        clearTimeout(timer);
        recording.removeEventListener("change", look);
        done();
      };
      const timer = setTimeout(end, within);
      recording.addEventListener("change", look);
    });
  }

  async #lessons() {
    try {
      return this.#list ??= await (await fetch("lessons/index.json")).json();
    } catch {
      notice("The lessons cannot be read: the Lab’s program is not there.");
      return [];
    }
  }
}
