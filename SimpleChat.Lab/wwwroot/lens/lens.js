// The dialog that looks closely at one entry of the timeline.

import { $, headOf } from "../dom.js";
import { bytesLens } from "./bytes.js";
import { handshakeLens } from "./handshake.js";
import { requestLens } from "./request.js";

const lenses = {
  frame: ({ bytes }) => bytes ? bytesLens : null,
  line: ({ up, down }) => up || down ? handshakeLens : null,
  request: () => requestLens,
};

/** Whether there is more to see of this entry. */
export const hasLens = entry => Boolean(lenses[entry.kind]?.(entry));

/** @param line The newest entry of the same line: the answer comes later than the request. */
export function openLens(entry, line = entry) {
  const seen = entry.kind === "line" ? { ...line, ...entry, up: entry.up ?? line.up, down: entry.down ?? line.down } : entry;
  const { title, parts } = lenses[entry.kind](seen)(seen);
  const dialog = $("lens");
  dialog.replaceChildren(headOf(dialog, title), ...parts);
  dialog.showModal();
  dialog.querySelector("input")?.focus();
}
