// The timeline: rows around the chosen one, three lanes with arrows and chips, and the controls to go through them. At the end of the run
// the rows that the text and the verdict speak of stay on the screen above the newest ones, however much has come since.

import { $, element, say, show, timeOf } from "../dom.js";
import { hasLens } from "../lens/lens.js";

const NEWEST = 2; // rows

/** The indexes of so many rows before this one. */
const upTo = (to, rows) => Array.from({ length: Math.min(to, rows) }, (_, row) => to - Math.min(to, rows) + row);

export class Timeline {
  #open;
  #recording = null;
  #pinned = []; // n of the entries that stay
  #rows = 6;

  /** @param open Shows the lens of a mark. */
  constructor(open) {
    this.#open = open;
    const list = $("marks");
    list.addEventListener("keydown", event => {
      if (event.key === "Enter")
        this.#look();
      else if (event.key === "ArrowUp" || event.key === "ArrowDown")
        this.#recording[event.key === "ArrowUp" ? "back" : "forward"]();
      else
        return;
      event.preventDefault();
      event.stopPropagation();
    });
    list.addEventListener("wheel", event => {
      event.preventDefault();
      this.#recording[event.deltaY < 0 ? "back" : "forward"]();
    }, { passive: false });
    list.addEventListener("click", event => {
      const at = event.target.closest("[data-at]")?.dataset.at;
      if (at === undefined)
        return;
      this.#recording.go(Number(at));
      this.#look();
    });
    $("scrub").addEventListener("input", () => {
      const { value, max } = $("scrub");
      return value === max ? this.#recording.end() : this.#recording.go(Number(value));
    });
    new ResizeObserver(() => {
      this.#rows = Math.max(3, Math.floor(list.clientHeight / (1.56 * parseFloat(getComputedStyle(list).fontSize))));
      if (this.#recording)
        this.show(this.#recording, this.#pinned);
    }).observe(list);
  }

  /** @param pinned The n of the entries that are spoken of, in order. */
  show(recording, pinned) {
    this.#recording = recording;
    this.#pinned = pinned;
    const { marks: { list }, at, isAtEnd, state } = recording;
    const after = isAtEnd ? 0 : Math.min(2, list.length - 1 - at); // a look ahead, pale
    const to = Math.min(list.length, Math.max(at + 1 + after, this.#rows));
    const shown = isAtEnd ? this.#withPinned(recording.marks, to) : upTo(to, this.#rows);
    show($("marks"), shown.map((index, row) =>
      rowOf(list[index], index, { at, state, count: list.length, isAfterGap: row > 0 && shown[row - 1] !== index - 1 })));
    const chosen = list[at];
    $("marks").setAttribute("aria-activedescendant", chosen ? `mark-${at}` : "");
    $("scrub").max = String(Math.max(0, list.length - 1));
    $("scrub").value = String(Math.max(0, at));
    $("scrub").setAttribute("aria-valuetext", chosen ? `${chosen.n}: ${chosen.label}` : "nothing yet");
    say($("where"), list.length === 0 ? "nothing yet" : `${isAtEnd ? "now, " : ""}${at + 1} of ${list.length}`);
  }

  /** What is spoken of, and the newest: of these there are always two. */
  #withPinned(marks, to) {
    const spokenOf = this.#pinned.map(n => marks.indexOf(n)).slice(NEWEST - this.#rows);
    const shown = new Set([...upTo(to, NEWEST), ...spokenOf]);
    for (let at = to - 1; at >= 0 && shown.size < this.#rows; at--)
      shown.add(at);
    return [...shown].sort((one, other) => one - other);
  }

  #look() {
    const mark = this.#recording.marks.list[this.#recording.at];
    if (mark && hasLens(mark.entry))
      this.#open(mark.entry);
  }
}

function rowOf(mark, at, { at: chosen, state, count, isAfterGap }) {
  const { n, t, who, arrow, label, note, tone, entry } = mark;
  const isOnCable = state.onCable.has(entry.n);
  const where = arrow ? `${arrow === "up" ? `${who} to the server` : `the server to ${who}`}: ` : who ? `${who}: ` : "";
  return element("div", {
    class: "mark", id: `mark-${at}`, role: "option", "aria-selected": String(at === chosen), "aria-setsize": count, "aria-posinset": at + 1,
    "data-at": at, "data-future": at > chosen, "data-gap": isAfterGap, "data-lens": hasLens(entry),
  },
    element("span", { class: "clock" }, String(n)), element("span", { class: "time" }, timeOf(t)),
    element("span", { class: "field" }, element("span", { class: "hidden" }, where), arrow ? arrowOf(mark, isOnCable)
      : element("span", { class: `chip at-${who ?? "server"}`, "data-tone": tone }, label)),
    element("span", { class: "note", "data-tone": tone }, isOnCable ? "waits on the cable" : note));
}

/** Alice's half is the left one, and up is to the right; bob's is the other way round. */
function arrowOf({ who, arrow, label, tone, entry }, isOnCable) {
  const isRightwards = (arrow === "up") === (who === "alice");
  const fate = isOnCable ? "waits" : entry.fate === "lost" ? "lost" : "passed";
  return element("span", { class: `arrow of-${who} ${isRightwards ? "rightwards" : "leftwards"}`, "data-fate": fate, "data-tone": tone },
    element("span", { class: "shaft" }), element("span", { class: "label" }, label), element("span", { class: "shaft" }));
}
