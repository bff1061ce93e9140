// The question before a fault, and afterwards what came of it: what was expected, what was seen, which promise held, and where it is shown.

import { $, button, element, show } from "../dom.js";
import { PROMISES } from "./promises.js";

export const ANSWERS = ["nothing", "once", "twice"];

export class Verdict {
  #question = element("div", { class: "question", role: "group", "aria-labelledby": "question" });
  #result = element("div", { class: "result" });
  #text = element("h2", { id: "question" });

  /** @param answer Takes "nothing", "once", "twice", or null for no answer. */
  constructor(answer) {
    const choices = ANSWERS.map((says, at) => button(says, { key: String(at + 1), class: "quiet", "data-says": says, click: () => answer(says) }));
    this.#question.append(this.#text, element("p", { class: "row" }, choices, button("don’t ask", { class: "quiet", key: "0", "data-says": "", click: () => answer(null) })));
    $("verdict").append(this.#question, this.#result);
  }

  /** @param question Text; null if nothing is asked. @param right What a lesson's author expects. */
  show(question, { prediction, verdict }, right) {
    this.#question.hidden = question === null;
    this.#result.hidden = question !== null;
    if (question !== null)
      return show(this.#text, document.createTextNode(question));
    return show(this.#result, verdict ? verdictOf(verdict) : prediction ? waitingOf(prediction, right) : nothingOf());
  }

  press(key) {
    const at = "1230".indexOf(key);
    if (at < 0 || this.#question.hidden)
      return false;
    this.#question.querySelectorAll("button")[at].click();
    return true;
  }
}

function verdictOf({ promise, held, sentence, file, line, test, saw, prediction, predicted }) {
  const says = prediction?.says ?? predicted;
  const about = prediction?.about ?? "bob";
  return [
    element("p", { class: "promise", "data-held": String(held) },
      element("b", {}, held ? "HELD" : "BROKEN"), ` ${promise} ${PROMISES[promise] ?? ""}`),
    element("p", {}, says && saw ? element("b", {}, `You said ${says}; ${about} saw ${saw === "nothing" ? "nothing" : `it ${saw}`}. `) : null, sentence),
    element("p", { class: "where" }, file ? element("code", {}, `${file}${line ? `:${line}` : ""}`) : null, test ? element("code", {}, test) : null),
  ];
}

const waitingOf = ({ says, about, saw }, right) => [
  element("p", { class: "promise" }, `You said: ${says}.`),
  element("p", {}, saw === undefined ? `${about} has seen nothing new so far.` : `So far ${about} has seen it ${saw}.`),
  right && saw === right ? element("p", {}, "That is what happens every time.") : null,
];

const nothingOf = () => [
  element("p", { class: "promise" }, "What it promises"),
  element("p", { class: "help" }, "Before a fault you are asked what will be seen. Afterwards this says which promise held, and where in the code and the tests it is shown."),
];
