// The five steps of a message, as far as this page can know them. A figure is shown where it was measured here, and says what it measures.

import { $, element, exactTimeOf } from "../screen/dom.js";

/** @param journey What the page saw of a message's way; null for none. */
export function showJourney(journey) {
  if (!journey) {
    const help = "Send a message, or choose the ticks beside one, to see its way through the five steps.";
    $("journey").replaceChildren(element("p", { class: "help" }, help));
    return;
  }

  const steps = journey.isOld ? stepsOfOld(journey) : stepsOf(journey);
  $("journey").replaceChildren(
    element("h3", {}, `To ${journey.to}: ${short(journey.text)}`),
    element("ol", {}, ...steps.map(({ name, isDone, took, note }) => element("li", { "data-done": String(isDone) },
      element("span", { role: "img", "aria-label": isDone ? "done" : "to come" }, isDone ? "✓" : "·"),
      element("span", {}, name), element("span", { class: "took" }, took ?? ""), note ? element("small", {}, note) : null))));
}

/**
 * The page sees its own frame go; "sent" come, and by then the message is accepted and stored; and "delivered" come, and by then the
 * recipient was looked up, had it pushed or fetched it, and acknowledged it.
 */
function stepsOf({ id, to, typed, out, via, stored, sentAt, asked, delivered }) {
  const [isOut, isStored, isDelivered] = [out, stored, delivered].map(time => time !== undefined);
  const waited = isOut ? out - typed : 0;
  return [
    {
      name: "Accepted", isDone: isStored,
      note: !isOut ? "waits in this page until there is a line"
        : `left this page over ${via}${waited > 100 ? `, after waiting ${milliseconds(waited)} for a line` : ""}`
          + (sentAt ? `; the server took it at ${exactTimeOf(new Date(sentAt))} by its own clock` : ""),
    },
    {
      name: "Stored", isDone: isStored, took: isStored ? `${milliseconds(stored - out)} there and back` : "",
      note: `${isStored ? `message ${id}, in MessageDB and InboxDB: ` : ""}“sent” comes when the commit is on disk`,
    },
    {
      name: "Looked up", isDone: isStored,
      note: `is ${to} in the map of connections? ${askedAgo(to, asked, typed)}`,
    },
    isDelivered ? { name: "Pushed, or fetched from the inbox", isDone: true, note: "its InboxDB row is gone" }
      : isStored && asked?.isOnline === false ? { name: "Left in the inbox", isDone: true, note: `it waits in InboxDB until ${to} has it` }
      : {
        name: "Pushed, or left in the inbox", isDone: isStored,
        note: isStored ? `its InboxDB row stays until ${to} has acknowledged it` : null,
      },
    {
      name: "Delivered", isDone: isDelivered, took: isDelivered && isStored ? `${milliseconds(delivered - stored)} after “sent”` : "",
      note: isDelivered ? `“delivered” came: ${to} has acknowledged it` : null,
    },
  ];
}

/** What the page knows of the other's presence is as old as its question. */
function askedAgo(to, asked, typed) {
  if (!asked)
    return "This page was not told.";
  const age = asked.at - typed;
  const when = age < 1_000 ? "as it was sent" : `${milliseconds(age)} later`;
  return `Asked ${when}, the server said: ${asked.isOnline ? "online" : "away"}.`;
}

/** Of a message that was sent before this page was opened only the outcome is known. */
const stepsOfOld = ({ id, to, delivered }) => [
  { name: "Accepted", isDone: true, note: "before this page was opened: it has no times of it" },
  { name: "Stored", isDone: true, note: `message ${id}, in MessageDB` },
  { name: "Looked up", isDone: true },
  delivered ? { name: "Pushed, or fetched from the inbox", isDone: true }
    : { name: "Left in the inbox", isDone: true, note: `it waits in InboxDB until ${to} has it` },
  { name: "Delivered", isDone: Boolean(delivered) },
];

const short = text => text.length > 60 ? `${text.slice(0, 60)}…` : text;
const milliseconds = time => time < 10_000 ? `${Math.max(1, Math.round(time))} ms` : `${Math.round(time / 1000)} s`;
