// What the record tells of the five ways: a fold, as for the stage. Times are milliseconds of the run.

export const LANES = [
  { name: "short", title: "Short polling", about: "asks every 2 s" },
  { name: "long", title: "Long polling", about: "the server waits with its answer" },
  { name: "webhook", title: "Webhook", about: "the server calls the receiver" },
  { name: "sse", title: "Server-Sent Events", about: "one answer without an end" },
  { name: "websocket", title: "WebSocket", about: "frames, both ways" },
];

const HEARTBEAT = 40; // bytes at most; more is what else nobody told of, an acknowledgement say

const empty = () => ({ trips: [], heard: [], pings: [], requests: 0, up: 0, down: 0, delay: null, quiet: { bytes: 0, pieces: 0 } });

/** {rtt, isOn, quietSince, stored: [{id, t}], lanes: name → what happened there}: after the entry with this n. */
export function waysOf(entries, upTo) {
  const ways = { rtt: 0, isOn: false, quietSince: null, stored: [], lanes: new Map(LANES.map(({ name }) => [name, empty()])) };
  for (const entry of entries.slice(0, upTo)) {
    if (entry.kind === "lane" && entry.what === "stored")
      ways.stored.push({ id: entry.id, t: entry.t });
    if (entry.kind === "lane" && ways.lanes.has(entry.lane))
      take(ways, ways.lanes.get(entry.lane), entry);
    if (entry.kind === "fault" && entry.do === "ways")
      command(ways, entry);
  }

  return ways;
}

function command(ways, { what, rtt, t }) {
  ways.rtt = rtt ?? ways.rtt;
  ways.isOn = what !== "stop";
  if (what === "quiet") {
    ways.quietSince = t;
    ways.lanes.forEach(lane => lane.quiet = { bytes: 0, pieces: 0 });
  } else if (what !== "start") {
    ways.quietSince = null;
  }
}

function take(ways, lane, { what, up = 0, down = 0, id, t }) {
  lane.up += up;
  lane.down += down;
  lane.quiet.bytes += up + down;
  lane.quiet.pieces++;
  if (what === "request") {
    lane.requests++;
    lane.trips.push({ from: t, to: null });
  } else if (what === "answer") {
    const trip = lane.trips.find(({ to }) => to === null);
    if (trip)
      trip.to = t;
  } else if (what === "ping" && up + down <= HEARTBEAT) {
    lane.pings.push(t);
  } else if (what === "arrived") {
    lane.heard.push({ id, t });
    const stored = ways.stored.find(message => message.id === id);
    if (stored)
      lane.delay = t - stored.t;
  }
}
