// The switches, as the timeline calls them when they were thrown.

/** The words for a `fault` entry; null for one that is no mark. */
export function faultWords(entry) {
  const label = entry.do === "ways" ? null : labels[entry.what ?? entry.do]?.(entry);
  return label ? { who: entry.who, label, note: notes[entry.what] ?? "", tone: isMending(entry) ? null : "bad" } : null;
}

/** What makes something whole again, or only takes its time. */
const isMending = ({ what, do: command, ms, on }) =>
  ["plug", "release", "read", "start", "slow"].includes(what ?? command) || ms === 0 || on === false;

/** What is lost, in words that no two frames share. */
const lost = {
  sent: "the next answer to alice (“sent”)", send: "alice’s next message (“send”)", ack: "bob’s next ack", message: "the next message to bob",
};

const labels = {
  cut: ({ who }) => `${who}’s cable is cut`,
  plug: ({ who }) => `${who}’s cable is plugged in`,
  hold: ({ who }) => `${who}’s cable holds everything`,
  release: ({ who }) => `${who}’s cable lets go`,
  delay: ({ who, ms }) => ms ? `${who}’s cable takes ${ms} ms` : `${who}’s cable is fast again`,
  lose: ({ who, frame }) => `${lost[frame] ?? `${who}’s next “${frame}”`} will be lost`,
  "stop-reading": ({ who }) => `${who} stops reading`,
  read: ({ who }) => `${who} reads again`,
  garbage: ({ who, garbage }) => `garbage on ${who}’s line: ${garbage}`,
  kill: () => "kill now",
  "kill-at": ({ point }) => `armed: kill at ${point}`,
  start: () => "start the server",
  stop: () => "ask the server to stop",
  "slow-disk": ({ ms }) => ms ? `the disk takes ${ms} ms` : "the disk is fast again",
  "full-disk": ({ on }) => on ? "the disk is full" : "the disk has room again",
  slow: ({ ms }) => ms ? `slow motion: ${ms / 1000} s a step` : "slow motion is off",
};

const notes = {
  cut: "both ends see a broken connection",
  lose: "that one only",
  hold: "nothing is lost, nothing arrives",
  "stop-reading": "the server’s bytes pile up in front of it",
  kill: "SIGKILL: it cannot tidy up",
};
