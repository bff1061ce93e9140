// The lesson's text, beside the live screen; in free play, what can be done.

import { $, button, element, say, show } from "../dom.js";

const FREE = "Write as alice (a). Then break something: cut bob’s cable (c), lose his next ack (l), kill the server (k), "
  + "and see what comes back when it is mended. The lessons (i) take you through it, one fault at a time.";

const BROKEN = "This server did not keep the promise: what was lost stands on the right. Go on with the lesson to see what else happens. "
  + "Start the Lab without --server, and SimpleChat keeps it.";

export class LessonPanel {
  #parts;

  /** @param actions {press(), look(), leave(), choose(), connect()} */
  constructor({ press, look, leave, choose, connect }) {
    const parts = this.#parts = {
      title: element("h2", { id: "lesson-title" }),
      text: element("p", { class: "say", role: "status" }),
      press: button("Next", { key: "n", id: "press", click: press }),
      look: button("Look closely", { key: "e", class: "quiet", id: "look", click: look }),
      leave: button("Leave and play", { class: "quiet", click: leave }),
      choose: button("Choose a lesson", { key: "i", id: "first-lesson", click: choose }),
      connect: button("Connect both", { class: "quiet", click: connect }),
    };
    $("lesson").append(element("header", {}, parts.title, parts.connect, parts.choose, parts.leave, parts.look, parts.press), parts.text);
  }

  show(lesson, { isLive, isAnyoneAway }) {
    const { title, text, press, look, leave, choose, connect } = this.#parts;
    Object.assign($("lesson").dataset, { lesson: lesson?.number ?? "", step: lesson ? lesson.at + 1 : "", phase: lesson?.phase ?? "" });
    press.hidden = leave.hidden = lesson === null;
    choose.hidden = lesson !== null;
    look.hidden = !lesson?.lookedAt;
    connect.hidden = lesson !== null || !isAnyoneAway || !isLive;
    if (lesson === null) {
      show(title, document.createTextNode("Free play"));
      say(text, FREE);
      return;
    }

    const { step, phase, at, steps } = lesson;
    show(title, element("span", {}, `${lesson.number}. ${lesson.title}`),
      element("span", { class: "help" }, `step ${at + 1} of ${steps.length}`));
    const outcome = phase === "done" && (lesson.isBroken ? BROKEN : step.then);
    say(text, outcome || step.say);
    text.dataset.phase = lesson.isBroken ? "broken" : outcome ? "then" : "say";
    say(press.firstElementChild, labelOf(lesson));
    press.disabled = phase === "ask";
  }

  /** The next thing to press is under the finger. */
  focus() {
    this.#parts.press.focus();
  }
}

function labelOf({ step, phase, isLast }) {
  if (phase === "ask")
    return "First say what you expect";
  if (phase === "ready")
    return step.press ?? "Do it";
  if (phase === "doing")
    return "Waiting… or go on";
  return isLast ? "Done: play on" : "Next";
}
