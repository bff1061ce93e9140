// What the Lab says about itself: the line at the top, and a notice that goes by itself.

import { $, say } from "./dom.js";

const SHOWN_FOR = 6_000; // milliseconds

let timer = null;

export function notice(text) {
  $("notice").hidden = false;
  say($("notice"), text);
  clearTimeout(timer);
  timer = setTimeout(() => $("notice").hidden = true, SHOWN_FOR);
}

/** Where one is: live, in the past, or in a replay; and the controls that depend on it. */
export function showStatus({ shown, live, isThere, state, ways }) {
  const isReplay = shown !== live;
  const [tone, text] = isReplay ? ["wait", shown.isAtEnd ? `Replay of ${shown.title}. “Now” leaves it.` : `Replay of ${shown.title}`]
    : !isThere ? ["bad", "The Lab’s program is not there: dotnet run --project SimpleChat.Lab"]
    : !shown.isAtEnd ? ["wait", `The past, entry ${shown.at + 1} of ${shown.marks.list.length}. “Now” goes back.`]
    : state.isPaused ? ["wait", "Cables paused: → lets one frame through"]
    : ["good", "Live"];
  $("status").dataset.tone = tone;
  say($("status"), text);
  const isPast = isReplay || !shown.isAtEnd;
  say($("pause").firstElementChild, isPast ? (shown.isPlaying ? "Stop" : "Play") : state.isPaused ? "Go on" : "Pause");
  $("pause").setAttribute("aria-pressed", String(isPast ? shown.isPlaying : state.isPaused));
  $("end").disabled = !isReplay && shown.isAtEnd;
  $("back").disabled = shown.at <= 0;
  $("forward").disabled = shown.isAtEnd && (isReplay || !state.isPaused);
  $("slow").value = String(state.slow);
  if ($("slow").selectedIndex < 0)
    $("slow").value = state.slow > 1_500 ? "2000" : state.slow > 750 ? "1000" : "500";
  $("slow").disabled = !isThere || isReplay;
  $("ways-toggle").setAttribute("aria-pressed", String(ways.isOpen));
}
