// The lens of a request over HTTP: its head, and what came back.

import { element } from "../dom.js";
import { headPart } from "./handshake.js";

/** The lens of a `request` entry: its parts for the dialog. */
export const requestLens = ({ who, head, status, up, down, answer = "" }) => ({
  title: `${who} asks over HTTP`,
  parts: [
    element("div", { class: "heads" }, headPart(`The request: ${up} bytes`, head),
      headPart(`The answer: ${status ?? "none"}, ${down} bytes`, readable(answer))),
    element("p", { class: "says", "data-tone": "good" }, "One question, one answer. The server cannot speak first."),
  ],
});

/** JSON with a line for each property. What was cut off stays as it is. */
function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
