// The five steps of the message that was sent last, as far as they are seen from outside: on the cable and in the tables.

export const STEPS = ["received", "stored", "looked up", "pushed", "delivered"];

/** Takes what a frame or a commit tells of the steps. done[i]: the n of the entry that shows it. */
export function follow(s, entry) {
  if (entry.kind === "rows")
    return stored(s, entry);
  const journey = s.journey;
  if (entry.way === "up" && entry.what === "send" && (entry.fate === "passed" || entry.fate === "injected"))
    s.journey = begun(entry, journey);
  else if (entry.way === "down" && journey?.id !== undefined && entry.id === journey.id)
    answered(s, entry, journey);
  return undefined;
}

/** A repeat goes the same way again, as far as its name is known. */
function begun(entry, journey) {
  const { to, text } = sendOf(entry);
  const name = entry.clientMessageId;
  if (name !== undefined && journey?.clientMessageId === name)
    return { ...journey, isRepeat: true };
  return { clientMessageId: name, from: entry.who, to, text, id: undefined, done: [entry.n], waits: false, isRepeat: false };
}

function stored(s, { table, added = [], gone = [], n }) {
  const journey = s.journey;
  if (!journey)
    return;
  if (table === "InboxDB") {
    if (gone.some(row => row.id === journey.id))
      journey.done[4] ??= n;
    return;
  }

  const row = added.findLast(row => row.from === journey.from && row.text === journey.text);
  if (row && journey.id === undefined) {
    journey.id = row.id;
    journey.done[1] = n;
  }
}

/** `sent` is written before the map is looked into, a push after it. */
function answered(s, { who, what, n }, journey) {
  if (what === "sent") {
    journey.done[1] ??= n; // a database that cannot be looked into
    journey.done[2] ??= n;
    journey.waits = ![...s.lines.values()].some(line => line.who === journey.to && line.state === "open");
  } else if (what === "message" && who === journey.to) {
    journey.done[2] ??= n;
    journey.done[3] ??= n;
    journey.waits = false;
  } else if (what === "delivered") {
    journey.done[4] ??= n;
  }
}

/** What a send asks for. A text that was cut short by the record has no "to". */
function sendOf({ text }) {
  try {
    return JSON.parse(text);
  } catch {
    return { to: "?", text: text ?? "" };
  }
}
