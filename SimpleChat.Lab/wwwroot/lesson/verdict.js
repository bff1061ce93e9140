// The question before a fault, and afterwards what came of it: what was expected, what was seen, which promise held, and where it is shown.

import { $, button, element, show } from "../dom.js";
import { PROMISES } from "./promises.js";

export const ANSWERS = ["nothing", "once", "twice"];

export class Verdict {
  #question = element("div", { class: "question", role: "group", "aria-labelledby": "question" });
  #result = element("div", { class: "result" });
  #text = element("h2", { id: "question" });
  #choice = element("p", { class: "promises", role: "group", "aria-label": "Several promises were at stake" });
  #buttons = {}; // by promise
  #shown = null; // the verdict on the screen
  #chosen = null; // the promise that was asked for, out of several
  #changed;

  /**
   * @param answer Takes "nothing", "once", "twice", or null for no answer.
   * @param changed Called when another verdict is to be shown.
   */
  constructor(answer, changed) {
    this.#changed = changed;
    const choice = (label, key, says) => button(label, { key, class: "quiet", "data-says": says ?? "", click: () => answer(says) });
    this.#question.append(this.#text, element("p", { class: "row" },
      ANSWERS.map((says, at) => choice(says, String(at + 1), says)), choice("don’t ask", "0", null)));
    $("verdict").append(this.#choice, this.#question, this.#result);
  }

  /** @param question Text; null if nothing is asked. @param lesson The one that is taken; null in free play. */
  show(question, { prediction, verdicts }, lesson) {
    this.#question.hidden = question === null;
    this.#result.hidden = question !== null;
    const all = question === null ? newestOf(verdicts) : [];
    const verdict = this.#shown = all.find(({ promise }) => promise === this.#chosen) ?? all.find(({ held }) => !held)
      ?? all.find(({ promise }) => promise === lesson?.step.promise) ?? all.find(({ predicted }) => predicted) ?? all.at(-1) ?? null;
    if (all.length === 0)
      this.#chosen = null;
    this.#offer(all, verdict);
    if (question !== null)
      show(this.#text, document.createTextNode(question));
    else
      show(this.#result, verdict ? verdictOf(verdict, prediction) : prediction ? waitingOf(prediction)
        : lesson ? ladderOf(lesson) : nothingOf());
  }

  /** The n of the entries that show what the verdict on the screen says. */
  get because() {
    return this.#shown?.because ?? [];
  }

  /** Each promise has a verdict of its own: one of them is on the screen, the others are a press away. */
  #offer(all, shown) {
    this.#choice.hidden = all.length < 2;
    show(this.#choice, all.map(({ promise, held }) => {
      const choose = this.#buttons[promise] ??= button(promise, {
        class: "quiet", title: PROMISES[promise], click: () => {
          this.#chosen = promise;
          this.#changed();
        },
      });
      choose.dataset.held = String(held);
      choose.setAttribute("aria-pressed", String(promise === shown?.promise));
      return choose;
    }));
  }

  press(key) {
    const at = "1230".indexOf(key);
    if (at < 0 || this.#question.hidden)
      return false;
    this.#question.querySelectorAll("button")[at].click();
    return true;
  }
}

/** The newest verdict on each promise. */
const newestOf = verdicts => [...new Map(verdicts.map(verdict => [verdict.promise, verdict])).values()];

function verdictOf({ promise, held, sentence, file, line, test, saw: told, predicted }, prediction) {
  const saw = told ?? prediction?.saw ?? (held ? undefined : "nothing");
  const says = prediction?.says ?? predicted;
  const about = prediction?.about ?? "bob";
  return [
    element("p", { class: "promise", "data-held": String(held) },
      element("b", {}, held ? "HELD" : "BROKEN"), ` ${promise} ${PROMISES[promise] ?? ""}`),
    element("p", {}, says && saw ? element("b", {}, `You said ${says}; ${named(about)} saw ${seen(saw)}. `) : null, sentence),
    element("p", { class: "where" },
      file ? element("code", {}, `${file}${line ? `:${line}` : ""}`) : null, test ? element("code", {}, test) : null),
  ];
}

const named = who => who[0].toUpperCase() + who.slice(1);

const seen = saw => saw === "nothing" ? "nothing" : `it ${saw}`;

const waitingOf = ({ says, about, saw }) => [
  element("p", { class: "promise" }, `You said: ${says}.`),
  element("p", {}, saw === undefined ? `${named(about)} has seen nothing new so far.` : `So far ${named(about)} has seen it ${saw}.`),
];

/** What the same fault does where the rule is not there yet. */
const ladderOf = ({ ladder, ladderSays }) => [
  element("p", { class: "promise" }, "The ladder: ten servers, each with a rule more"),
  element("p", {}, ladderSays),
  element("p", { class: "where" }, element("code", {}, `ladder/${ladder}`)),
];

const nothingOf = () => [
  element("p", { class: "promise" }, "What it promises"),
  element("p", { class: "help" }, "Before a fault you are asked what will be seen. Afterwards this says which promise held, "
    + "and where in the code and the tests it is shown."),
];
