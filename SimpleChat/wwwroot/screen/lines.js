// What stands in a thread, line by line: days, the line "new", messages, and what was not sent.

import { dayOf, element } from "./dom.js";
import { messageNode, waitingNode } from "./message.js";

/**
 * The lines for the messages from first to end.
 * @returns [{key, build(), message?, isFirst?, isLast?}]: what has the same key looks the same, but for ticks and neighbours.
 */
export function linesOf(conversation, first, end, { user, entries, newFrom, actions }) {
  const { messages, hasOlder, reachesEnd } = conversation;
  const lines = [];
  const failed = entries.filter(entry => entry.failure);
  const isBeginning = first === 0 && !hasOlder;
  let next = isBeginning ? 0 : failed.findIndex(entry => (entry.after ?? 0) >= (messages[first]?.id ?? 0));
  let [day, upTo] = [null, 0];
  const separate = time => {
    upTo = time;
    const its = dayOf(time);
    if (its !== day)
      lines.push({ key: `day ${its}`, build: () => element("li", { class: "day" }, its) });
    day = its;
  };

  /** Refused ones stay where they were typed: newer messages come below. Between its neighbours one has a day of its own. */
  const putFailed = (before, latest) => {
    for (; next >= 0 && next < failed.length && (failed[next].after ?? 0) < before; next++) {
      const entry = failed[next];
      separate(Math.min(latest, Math.max(upTo, entry.typedAt)));
      lines.push({ key: `${entry.clientMessageId} failed`, build: () => waitingNode(entry, user, actions) });
    }
  };

  for (let at = first; at < end; at++) {
    const message = messages[at];
    putFailed(message.id, message.time);
    separate(message.time);
    if (message.id === newFrom)
      lines.push({ key: "new", build: () => element("li", { class: "new" }, "new") });
    lines.push({
      key: message.id, message,
      build: () => messageNode(message, message.from === user, actions.showJourney),
      isFirst: message.id === newFrom || at === first || !isTogether(messages[at - 1], message),
      isLast: at + 1 === messages.length || !isTogether(message, messages[at + 1]),
    });
  }

  if (end < messages.length || !reachesEnd)
    return lines;
  putFailed(Infinity, Infinity);
  for (const entry of entries.filter(entry => !entry.failure)) {
    separate(entry.typedAt);
    lines.push({ key: entry.clientMessageId, build: () => waitingNode(entry, user, actions) });
  }

  return lines;
}

/** One side's messages of the same minute stand together; the last one says when. */
const isTogether = (one, next) => one.from === next.from && minuteOf(one) === minuteOf(next);
const minuteOf = message => Math.floor(message.time / 60_000);
