// What the Lab shows at a moment: a fold over the record's entries up to it. Nothing else is known. So a replay shows what was seen live,
// and any moment of the past can be looked at.

import { follow } from "./journey.js";
import { Person } from "./person.js";

export const PEOPLE = ["alice", "bob"];

const cable = () => ({ isCut: false, isHeld: false, delay: 0, lose: new Set(), isDeaf: false });

const nothing = () => ({
  n: 0, // the logical clock
  t: 0, // milliseconds since the run began
  run: null,
  server: { state: "down", pid: null, since: 0, at: null },
  lines: new Map(), // a line's number → its newest entry; those that are open
  seen: new Map(), // a line's number → all that was told of it, also after its end: for the lens
  cables: { alice: cable(), bob: cable() },
  onCable: new Map(), // n → a frame that waits there
  messages: [], // the rows of MessageDB
  inbox: [], // the rows of InboxDB
  gone: [], // those that the last change of InboxDB took away
  journey: null, // of the message that was sent last
  people: { alice: new Person(), bob: new Person() },
  point: null, // where the server will die next time
  slow: 0, // milliseconds a step
  isPaused: false,
  slowDisk: 0,
  isDiskFull: false,
  prediction: null,
  stepAt: 0, // the n with which the lesson's step began
  verdicts: [], // of this step, since the last prediction
});

const known = new WeakMap(); // entries → how far the fold went, so that one entry more is one step more

/** The state after the entry with this n. Look at it, and ask again: it changes with the next question. */
export function state(entries, upTo = entries.length) {
  let s = known.get(entries);
  if (!s || s.n > upTo)
    known.set(entries, s = nothing());
  while (s.n < upTo) {
    const entry = entries[s.n];
    folds[entry.kind]?.(s, entry);
    s.n++;
    s.t = entry.t;
  }

  return s;
}

const folds = {
  run: (s, entry) => s.run = entry,

  server(s, entry) {
    const { state, pid, at } = entry;
    s.server = { state, pid: pid ?? s.server.pid, since: entry.t, at: at ?? null };
    if (state === "killed" || state === "stopped") {
      s.lines.clear();
      s.onCable.clear();
      s.point = null;
    }
  },

  line(s, entry) {
    s.seen.set(entry.line, { ...s.seen.get(entry.line), ...entry });
    if (entry.state === "opening" || entry.state === "open")
      s.lines.set(entry.line, { ...s.lines.get(entry.line), ...entry });
    else
      s.lines.delete(entry.line);
    for (const [n, frame] of s.onCable) {
      if (frame.line === entry.line && !s.lines.has(entry.line))
        s.onCable.delete(n);
    }
  },

  frame(s, entry) {
    if (entry.fate === "lost")
      s.cables[entry.who]?.lose.delete(entry.what);
    if (entry.fate === "held")
      s.onCable.set(entry.n, entry);
    follow(s, entry);
  },

  "frame-on"(s, entry) {
    const frame = s.onCable.get(entry.of);
    s.onCable.delete(entry.of);
    if (frame)
      follow(s, { ...frame, n: entry.n, fate: "passed" });
  },

  rows(s, entry) {
    const { table, added = [], gone = [] } = entry;
    const key = table === "InboxDB" ? "inbox" : "messages";
    const isGone = row => gone.some(other => other.id === row.id && (table === "MessageDB" || other.to === row.to));
    if (key === "inbox")
      s.gone = gone;
    s[key] = [...s[key].filter(row => !isGone(row)), ...added.map(row => ({ ...row, since: entry.n }))];
    follow(s, entry);
  },

  fault(s, entry) {
    switches[entry.what ?? entry.do]?.(s, s.cables[entry.who] ?? cable(), entry);
  },

  screen(s, entry) {
    s.people[entry.who]?.saw(entry);
    if (entry.what === "shown" && entry.who === s.prediction?.about)
      s.prediction = seenMore(s.prediction, entry);
  },

  client: (s, entry) => s.people[entry.who]?.told(entry),

  /** The next step. A question of the one before may be open still; what was answered is over. */
  lesson(s, entry) {
    s.stepAt = entry.n;
    if (s.verdicts.some(({ predicted }) => predicted))
      s.prediction = null;
    s.verdicts = [];
  },

  predict(s, entry) {
    s.prediction = entry;
    s.verdicts = [];
  },

  verdict(s, entry) {
    const isOfEarlierStep = entry.because?.length > 0 && entry.because.every(n => n < s.stepAt);
    if (!isOfEarlierStep)
      s.verdicts = [...s.verdicts, entry];
  },
};

/** How often the message that came most often since the prediction is on the screen. A second tab has a screen of its own. */
function seenMore(prediction, { id, tab = 1 }) {
  const counts = new Map(prediction.counts).set(`${tab} ${id}`, (prediction.counts?.get(`${tab} ${id}`) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return { ...prediction, counts, saw: most > 1 ? "twice" : "once" };
}

const switches = {
  cut: (_, cable) => cable.isCut = true,
  plug: (_, cable) => cable.isCut = false,
  hold: (_, cable) => cable.isHeld = true,
  release: (_, cable) => cable.isHeld = false,
  delay: (_, cable, { ms }) => cable.delay = ms,
  lose: (_, cable, { frame }) => cable.lose.add(frame),
  "stop-reading": (_, cable) => cable.isDeaf = true,
  read: (_, cable) => cable.isDeaf = false,
  "kill-at": (s, _, { point }) => s.point = point,
  "slow-disk": (s, _, { ms }) => s.slowDisk = ms,
  "full-disk": (s, _, { on }) => s.isDiskFull = on,
  slow: (s, _, { ms }) => s.slow = ms,
  pause: s => s.isPaused = true,
  resume: s => s.isPaused = false,
};

/** Whether a line of this person's is being opened: there is one, and the page has not heard "connected" over it. */
export function isConnecting(s, who) {
  const isOpen = [...s.people[who].tabs.values()].filter(({ state }) => state === "open");
  return [...s.lines.values()].filter(line => line.who === who).length > isOpen.length;
}

/** Whether the server runs: it may wait at a point. */
export const isUp = ({ server }) => ["up", "paused", "resumed"].includes(server.state);

/** The server's map, as its open WebSockets tell it: who has which lines. */
export const mapOf = s => PEOPLE.map(who => ({
  who,
  lines: [...s.lines.values()].filter(line => line.who === who && line.state === "open").map(({ line }) => line),
}));
