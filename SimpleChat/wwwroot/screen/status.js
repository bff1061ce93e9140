// How the line to the server is, in the header: one sentence that people understand, and what the browser does not keep.

import { local, session } from "../state/storage.js";
import { $, say } from "./dom.js";

const says = {
  connecting: () => "Connecting…",
  open: () => "Connected by WebSocket.",
  polling: () => "No WebSocket: long polling meanwhile.",
  refused: line => `No WebSocket. ${line.refusal}`,
  offline: () => "No connection. What you write waits here.",
};

/** @param line The line; null before there is one. */
export function showStatus(line) {
  const state = line?.state ?? "connecting";
  const seconds = line?.retryAt ? Math.max(1, Math.ceil((line.retryAt - performance.now()) / 1000)) : null;
  const isAsked = state === "open" || state === "connecting";
  $("status").hidden = false;
  $("status").dataset.state = state;
  say($("status-text"), says[state](line));
  // Beside the live region: nobody wants to hear seconds counted.
  say($("status-next"), isAsked ? "" : seconds ? `Next try in ${seconds} s.` : "Trying…");
  $("status").title = isAsked ? "" : $("status").textContent.trim();
  $("retry").hidden = isAsked;
}

/** Says, as long as it holds, that something will not survive a reload. */
export function watchStorage() {
  const look = () => {
    const lost = [
      local.isKept ? null : "what waits to be sent, drafts and what you have read",
      session.isKept ? null : "your sign-in",
    ].filter(what => what !== null);
    $("kept").hidden = lost.length === 0;
    const says = `This browser keeps nothing for this page: after a reload ${lost.join(", and ")} will be gone.`;
    say($("kept"), lost.length === 0 ? "" : says);
  };
  local.addEventListener("kept", look);
  session.addEventListener("kept", look);
  look();
}
