// The Lab's page, put together. Reading order: record/state.js, what is shown follows from the record; record/recording.js, where one
// stands in it; line/client.js, the panes' chat client; stage/, timeline/, lesson/, lens/, what is on the screen; then whatever one
// is curious about.

import { listen } from "./controls.js";
import { $, eachFrame } from "./dom.js";
import { openLens } from "./lens/lens.js";
import { matches } from "./lesson/matches.js";
import { LessonPanel } from "./lesson/panel.js";
import { Teacher } from "./lesson/teacher.js";
import { Verdict } from "./lesson/verdict.js";
import { Control } from "./line/control.js";
import { People } from "./line/people.js";
import { notice, showStatus } from "./notice.js";
import { Recording } from "./record/recording.js";
import { Runs } from "./record/runs.js";
import { isUp, PEOPLE, state } from "./record/state.js";
import { CablePane } from "./stage/cable.js";
import { PersonPane } from "./stage/person.js";
import { ServerPane } from "./stage/server.js";
import { Timeline } from "./timeline/timeline.js";
import { Ways } from "./ways/ways.js";

class Lab {
  live = new Recording(); // the run that goes on
  shown = this.live; // or one that was opened
  control = new Control();

  #hello = { cables: {}, protocol: "chat.ack" };
  #isAsked = false; // this page has asked for a fresh run
  #isWelcome = false;
  #backlog = 0; // entries of the run that are still to come, when the page is new to it
  #changed = eachFrame(() => this.#render());

  constructor() {
    const act = command => this.act(command);
    this.people = new People(this.control, {
      cables: () => this.#hello.cables, protocol: () => this.#hello.protocol ?? "chat.ack", state: () => state(this.live.entries),
    });
    this.persons = PEOPLE.map(who => new PersonPane(who, act));
    this.cables = PEOPLE.map(who => new CablePane(who, command => this.teacher.fault({ do: "fault", ...command })));
    this.server = new ServerPane(command => this.teacher.fault(command));
    this.timeline = new Timeline(entry => openLens(entry, state(this.shown.entries).seen.get(entry.line)));
    this.ways = new Ways(act);
    this.teacher = new Teacher({ act, live: () => this.live, changed: this.#changed });
    this.verdict = new Verdict(says => this.teacher.answer(says), this.#changed);
    this.panel = new LessonPanel({
      press: () => this.teacher.press(), look: () => this.#look(), leave: () => this.teacher.leave(), choose: () => this.teacher.choose(),
      connect: () => this.#connectBoth(),
    });
    this.runs = new Runs({ entries: () => this.shown.entries, open: (entries, title) => this.#open(entries, title), notice });
  }

  start() {
    const { control } = this;
    this.live.addEventListener("change", this.#changed);
    control.addEventListener("hello", ({ detail }) => this.#met(detail));
    control.addEventListener("entry", ({ detail }) => this.#heard(detail));
    control.addEventListener("refused", ({ detail }) => notice(detail.why));
    control.addEventListener("gone", this.#changed);
    control.start();
    listen({
      back: () => this.shown.back(), forward: () => this.#forward(), home: () => this.shown.go(0), end: () => this.#now(),
      space: () => this.#pause(), slow: ms => this.#slow(ms), ways: () => this.#toggleWays(), fresh: () => this.act({ do: "fresh" }),
      choose: () => this.teacher.choose(),
      save: () => this.runs.save(), open: () => this.runs.choose(), panes: [this.verdict, this.server], cables: this.cables,
    });
    void this.runs.openLinked();
    this.#render();
  }

  /** Does what somebody pressed, or what a lesson says. It happens now, so the present is shown. */
  act(command) {
    if (this.shown !== this.live)
      this.#show(this.live);
    this.live.end();
    if (command.do === "fresh") {
      this.#isAsked = true;
      this.people.forget(); // now: what they tell later would stand in the new run
    }

    if (command.do === "ways" || command.do === "fresh")
      this.ways.toggle(command.do === "ways");
    if (command.as)
      this.people.do(command);
    else if (!this.control.do(command))
      notice("The Lab’s program is not there, so nothing can be done. A run’s file can be opened (o).");
  }

  // ── What comes ──────────────────────────────────────────────────────────────────────────────────────────────────

  #met(hello) {
    this.#hello = hello;
    this.server.offer(hello);
    this.#anew();
    this.#backlog = hello.entries;
  }

  #heard(entry) {
    if (entry.kind === "run" && this.live.entries.length > 0) {
      this.#anew();
      this.people.forget();
      [this.#isWelcome, this.#isAsked] = [this.#isAsked, false];
    }

    this.live.add(entry);
    if (this.#backlog === 0)
      this.teacher.heard();
    else if (--this.#backlog === 0)
      this.#isWelcome ||= !this.teacher.startLinked();
    this.#welcome();
  }

  /** A run that nobody has been in yet: alice and bob come, if this page began it or is new. In a lesson they come when it says so. */
  #welcome() {
    if (!this.#isWelcome || this.#backlog > 0 || !isUp(state(this.live.entries)))
      return;
    this.#isWelcome = false;
    if (!this.teacher.isBusy && !this.live.entries.some(({ kind }) => kind === "line"))
      this.#connectBoth();
  }

  /** The newest entry of the run that goes on that fulfils a pattern. */
  #newest(pattern) {
    return this.live.entries.findLast(one => matches(pattern, one));
  }

  /** The n of the entries that the lesson's text and the verdict speak of, in order. */
  #spokenOf() {
    const patterns = this.shown === this.live ? this.teacher.lesson?.spokenOf ?? [] : [];
    const ofLesson = patterns.map(pattern => this.#newest(pattern)?.n).filter(Boolean);
    return [...new Set([...ofLesson, ...this.verdict.because])].sort((one, other) => one - other);
  }

  /** The lens of what the lesson speaks of. */
  #look() {
    const entry = this.#newest(this.teacher.lesson.lookedAt);
    if (entry)
      openLens(entry, state(this.live.entries).seen.get(entry.line));
  }

  #connectBoth() {
    PEOPLE.forEach(who => this.people.do({ as: who, connect: true }));
  }

  /** A run begins. A replay that is looked at stays. */
  #anew() {
    const isShown = this.shown === this.live;
    this.live = new Recording();
    this.live.addEventListener("change", this.#changed);
    if (isShown)
      this.#show(this.live);
  }

  // ── What is shown ───────────────────────────────────────────────────────────────────────────────────────────────

  #open(entries, title) {
    const recording = Recording.of(entries, title);
    recording.addEventListener("change", this.#changed);
    recording.go(0);
    this.#show(recording);
  }

  #show(recording) {
    this.shown.stop();
    this.shown = recording;
    this.#changed();
  }

  /** To the end of a replay, and from there to the present. */
  #now() {
    if (this.shown.isAtEnd && this.shown !== this.live)
      this.#show(this.live);
    this.shown.end();
  }

  #forward() {
    this.shown.stop();
    if (!this.shown.isAtEnd)
      this.shown.forward();
    else if (this.shown === this.live && state(this.live.entries).isPaused)
      this.control.do({ do: "step" });
  }

  #pause() {
    if (this.shown.isPlaying)
      this.shown.stop();
    else if (!this.shown.isAtEnd || this.shown !== this.live)
      this.shown.play();
    else
      this.act({ do: state(this.live.entries).isPaused ? "resume" : "pause" });
  }

  #slow(ms) {
    this.teacher.chooseSlow(ms);
    this.act({ do: "slow", ms });
  }

  #toggleWays() {
    this.ways.toggle();
    this.#changed();
  }

  #render() {
    const { shown, live, teacher } = this;
    const s = shown.state;
    const isLive = shown === live && this.control.isOpen;
    this.persons.forEach(pane => pane.show(s, isLive));
    this.cables.forEach(pane => pane.show(s, isLive));
    this.server.show(s, isLive);
    this.ways.show(shown, isLive);
    this.verdict.show(teacher.question, s, teacher.lesson);
    this.timeline.show(shown, this.#spokenOf());
    this.panel.show(teacher.lesson, { isLive, isAnyoneAway: PEOPLE.some(who => s.people[who].isAway) });
    showStatus({ shown, live, isThere: this.control.isOpen, state: s, ways: this.ways });
  }
}

new Lab().start();
