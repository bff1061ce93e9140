// What an entry is called in the timeline: where it stands (an arrow between somebody and the server, or a chip on a lane), its label,
// and a note.

import { short } from "../dom.js";
import { faultWords } from "./faults.js";

/**
 * {arrow: "up" or "down"; none for a chip. who: none for the server. label, note. tone: "bad", "good", "rows" or none}.
 * Null for what the timeline leaves out.
 */
export const wordsOf = (entry, context = {}) => kinds[entry.kind]?.(entry, context) ?? null;

const kinds = {
  run: ({ server, title }) => ({ label: "the run begins", note: title ?? server }),
  server: ({ state, at, pid, exit }) => servers[state]?.({ at, pid, exit }),
  line: entry => lines[entry.state]?.(entry),
  frame: frameWords,
  rows: rowWords,
  fault: faultWords,
  screen: ({ who, what, id, code }) => screens[what]?.(who, id, code),
  request: ({ who, method, path, status, up, down }) => ({
    arrow: "up", who, label: `${method} ${path}`, note: `${status ?? "no answer"}: ${up} bytes out, ${down} back`,
    tone: status >= 400 ? "bad" : null,
  }),
  verdict: ({ promise, held, sentence }) => ({
    label: `${promise} ${held ? "held" : "broken"}`, note: sentence, tone: held ? "good" : "bad",
  }),
};

const servers = {
  paused: ({ at }) => at === "before-commit" ? { label: "COMMIT…", note: "waits for the disk; nobody is told anything yet" } : null,
  up: ({ pid }) => ({ label: `the server is up`, note: pid ? `pid ${pid}` : "", tone: "good" }),
  killed: ({ at }) => ({ label: "the server is killed", note: at ? `at the point “${at}”` : "it had no time to tidy up", tone: "bad" }),
  stopped: ({ exit }) => ({ label: "the server stopped", note: exit === undefined ? "" : `exit code ${exit}`, tone: "bad" }),
};

const lines = {
  opening: ({ who, up }) => ({ arrow: "up", who, label: short(firstLine(up) ?? "connects", 42), note: "the handshake: an HTTP request" }),
  open: ({ who, down }) => ({ arrow: "down", who, label: firstLine(down) ?? "open", note: "from here on: frames" }),
  refused: ({ who, down }) => ({ arrow: "down", who, label: firstLine(down) ?? "no connection", note: "refused", tone: "bad" }),
  closed: ({ who, line, code, reason, by }) => ({
    chip: true, who, label: `line ${line} ${code ? "closed" : "broke"}`,
    note: [by && (code ? `by the ${by}` : `at the ${by}’s end`), code && `code ${code}`, reason].filter(Boolean).join(", "),
  }),
  cut: ({ who, line }) => ({ who, label: `line ${line} is cut`, note: "what was on its way is gone", tone: "bad" }),
};

/** Of a request's or an answer's head, without the version. */
const firstLine = head => head?.split("\r\n")[0].replace(/ ?HTTP\/[\d.]+ ?/, "");

const screens = {
  shown: (who, id) => ({ who, label: `${who} sees ${id}`, note: "", tone: "good" }),
  repeat: (who, id) => ({ who, label: `seen before: dropped`, note: `${who} has ${id} already`, tone: "good" }),
  failed: (who, id, code) => ({ who, label: `refused: ${code ?? "no reason given"}`, note: "the sender hears of it", tone: "bad" }),
};

function frameWords({ who, way, what, fate, ...frame }, { isAgain }) {
  const name = names[what]?.(frame) ?? what;
  const note = fate === "lost" ? "lost on the cable"
    : fate === "injected" ? "put on the cable by the Lab"
    : what === "message" && isAgain ? "promise I2: its inbox row is there, so it comes again"
    : what === "send" && isAgain ? "promise I6: the same clientMessageId as before"
    : notes[what] ?? "";
  const isBad = fate === "lost" || fate === "injected" || what === "error";
  return { arrow: way, who, label: isAgain ? `${name} again` : name, note, tone: isBad ? "bad" : null };
}

const names = {
  send: ({ text }) => `send ${quoted(text)}`,
  ack: ({ ids }) => `ack ${ids?.join(", ") ?? ""}`,
  sent: ({ id }) => `sent ${id}`,
  message: ({ id, text }) => `message ${id} ${quoted(text)}`,
  delivered: ({ id }) => `delivered ${id}`,
  error: ({ text }) => `error ${parsed(text).code ?? ""}`,
  close: ({ code }) => code ? `close ${code}` : "close",
  other: ({ opcode, length }) => `opcode ${opcode}, ${length} bytes`,
};

const notes = {
  sent: "promise: both rows are on the disk",
  delivered: "the message has left the inbox",
  ack: "only this empties the inbox",
  connected: "from now on messages reach this line",
  "ping frame": "a heartbeat: are you there? Only the first is shown",
  "pong frame": "yes: a browser answers by itself",
};

/** "42 into MessageDB · 42 into InboxDB": of many rows the first and the last. */
function rowWords({ table, added = [], gone = [] }, { earlier }) {
  const [way, rows] = added.length > 0 ? ["into", added] : ["out of", gone];
  const ids = rows.length > 2 ? `${rows[0].id}…${rows.at(-1).id}` : rows.map(({ id }) => id).join(", ");
  const label = `${earlier ? `${earlier.label} · ` : ""}${ids} ${way} ${table}`;
  const note = way === "into" ? "promise I1: written before anything is pushed"
    : table === "InboxDB" ? "promise I2: delivered, so the row goes" : "erased";
  return { label, note, tone: "rows" };
}

const quoted = text => {
  const said = parsed(text).text ?? "";
  return `“${short(String(said), 18)}”`;
};

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
