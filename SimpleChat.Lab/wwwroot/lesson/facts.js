// The commands of a step are carried out one after the other: each waits for what shows in the record that it was done. Otherwise a message
// could be stored before the disk is full, or garbage go out on a line that is not open yet.

/** The entry that shows it; null if nothing is to be waited for. */
export function factOf({ do: command, what, as: who, connect, leave, tab }, s) {
  if (who && connect) {
    const isOpen = s.people[who].tabs.get(tab ?? 1)?.state === "open";
    return isOpen || s.cables[who].isCut ? null : { kind: "frame", who, what: "connected" };
  }

  if (who)
    return leave ? { kind: "line", who, state: "closed" } : null;
  if (command === "server" && what === "start")
    return { kind: "server", state: "up" };
  return what === undefined ? { kind: "fault", do: command } : { kind: "fault", do: command, what };
}
