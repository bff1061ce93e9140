// Where one writes. What is not sent yet belongs to its conversation, and survives a reload.

import { $, say } from "./dom.js";
import { isVisible } from "./text.js";

const KEEP_WITHIN = 300; // milliseconds
const COMPOSING = 229; // the keyCode of a key that an input method has taken; Safari ends a composition with it

export class Composer {
  #storage;
  #other = null;
  #timer = null;
  #isTouched = false; // since it was opened or kept: only then is its row this tab's to change

  /** @param actions {send(text), leave()}: leave is Escape */
  constructor(storage, actions) {
    this.#storage = storage;
    $("composer").addEventListener("submit", event => {
      event.preventDefault();
      this.#submit(actions);
    });
    $("text").addEventListener("keydown", event => {
      if (event.isComposing || event.keyCode === COMPOSING)
        return;
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        this.#submit(actions);
      } else if (event.key === "Escape") {
        actions.leave();
      }
    });
    $("text").addEventListener("input", () => {
      say($("composer-problem"), "");
      this.#isTouched = true;
      this.#timer ??= setTimeout(() => this.keep(), KEEP_WITHIN);
    });
    addEventListener("pagehide", () => this.keep());
  }

  /** The draft to somebody; null for nobody. */
  open(other) {
    this.keep();
    this.#other = other;
    $("text").value = other === null ? "" : this.#storage.get(`draft/${other}`) ?? "";
    say($("composer-problem"), "");
  }

  /** Puts a text that could not be sent back to where it can be changed. */
  edit(text) {
    const draft = $("text").value;
    $("text").value = draft ? `${text}\n${draft}` : text;
    this.#isTouched = true;
    this.keep();
    $("text").focus();
  }

  /** Keeps what was typed here. A draft that nobody touched here is not: another tab may have written it since, or sent it. */
  keep() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#other === null || !this.#isTouched)
      return;
    this.#isTouched = false;
    const [row, text] = [`draft/${this.#other}`, $("text").value];
    if (text)
      this.#storage.set(row, text);
    else if (this.#storage.get(row) !== null)
      this.#storage.remove(row);
  }

  #submit(actions) {
    const text = $("text").value;
    if (text.trim() && !isVisible(text)) {
      say($("composer-problem"), "There is nothing to be seen in this message.");
      return;
    }

    $("text").value = "";
    this.#isTouched = true;
    this.keep();
    if (text.trim())
      actions.send(text);
    $("text").focus();
  }
}
