// The commands of a step are carried out one after the other: each waits for what shows in the record that it was done. Otherwise a message
// could be stored before the disk is full, or garbage go out on a line that is not open yet.

/** The entry that shows it; null if nothing is to be waited for. */
export function factOf({ do: command, what, as, connect, leave, tab, who, kind }, s) {
  if (as && connect) {
    const isOpen = s.people[as].tabs.get(tab ?? 1)?.state === "open";
    return isOpen || s.cables[as].isCut ? null : { kind: "frame", who: as, what: "connected" };
  }

  if (as)
    return leave ? { kind: "line", who: as, state: "closed" } : null;
  if (command === "server" && what === "start")
    return { kind: "server", state: "up" };
  if (what === "garbage") // the server has dealt with it
    return kind === "json" ? { kind: "frame", who, what: "error" } : { kind: "line", who, state: "closed" };
  return what === undefined ? { kind: "fault", do: command } : { kind: "fault", do: command, what };
}
