// Saving, opening and sharing runs: the menu, a dropped file, a link.

import { $ } from "../dom.js";
import { linked, linkTo, parse, save } from "./file.js";

export class Runs {
  #options;

  /** @param options {entries(): of the run that is shown; open(entries, title); notice(text)} */
  constructor(options) {
    this.#options = options;
    $("save").onclick = () => this.save();
    $("open").onclick = () => this.choose();
    $("share").onclick = () => void this.#share();
    $("file").onchange = () => void this.#read($("file").files[0]);
    addEventListener("dragover", event => this.#over(event, true));
    addEventListener("dragleave", event => event.relatedTarget === null && this.#over(event, false));
    addEventListener("drop", event => {
      this.#over(event, false);
      void this.#read(event.dataTransfer.files[0]);
    });
    addEventListener("hashchange", () => void this.openLinked());
  }

  save() {
    this.#close();
    save(this.#options.entries(), "run.jsonl");
  }

  choose() {
    this.#close();
    $("file").value = "";
    $("file").click();
  }

  /** The run that the page's address holds, if it holds one. */
  async openLinked() {
    try {
      const text = await linked(location.hash);
      if (text !== null)
        this.#options.open(parse(text), "a link");
    } catch {
      this.#options.notice("The link holds no run that can be read: perhaps it was cut off.");
    }
  }

  async #share() {
    this.#close();
    const link = await linkTo(this.#options.entries());
    try {
      if (link === null)
        return this.#options.notice("This run is too long for a link. Save it as a file, and send that.");
      await navigator.clipboard.writeText(link);
      this.#options.notice("Copied. Whoever opens the link in a Lab of their own sees this run.");
    } catch {
      this.#options.notice("The browser does not let this page copy. Save the run as a file.");
    }

    return undefined;
  }

  async #read(file) {
    if (!file)
      return;
    try {
      this.#options.open(parse(await file.text()), file.name);
    } catch (problem) {
      this.#options.notice(`${file.name}: ${problem.message}`);
    }
  }

  #over(event, isOver) {
    event.preventDefault();
    document.documentElement.classList.toggle("dropping", isOver);
  }

  #close() {
    $("run-menu").hidePopover();
  }
}
