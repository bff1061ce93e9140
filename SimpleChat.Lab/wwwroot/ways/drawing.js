// A lane as a drawing: time goes to the right, the upper edge is the client, the lower one the server.

import { drawn } from "../dom.js";

export const [WIDTH, HEIGHT] = [1000, 64];
const [TOP, BOTTOM] = [9, 55];
const TOGETHER = 500; // milliseconds: one message goes to each lane, and they are stored one after the other

/** @param axis {from, to}: which milliseconds are shown. */
export function drawingOf({ name, title }, lane, { stored, rtt }, axis) {
  const x = t => Math.round((t - axis.from) / (axis.to - axis.from) * WIDTH);
  const half = rtt / 2;
  const isSeen = t => t >= axis.from - 60_000 && t <= axis.to + 1_000;
  const [begins, ends] = name === "webhook" ? [BOTTOM, TOP] : [TOP, BOTTOM]; // there the server asks
  const streams = name === "sse" || name === "websocket";
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return drawn("svg", { ...box, role: "img", "aria-label": `${title}: ${summary(lane)}` },
    [TOP, BOTTOM].map(y => drawn("line", { class: "edge", x1: 0, x2: WIDTH, y1: y, y2: y })),
    stored.filter(({ t }, at) => isSeen(t) && (at === 0 || t - stored[at - 1].t > TOGETHER)).map(({ t }) =>
      drawn("line", { class: "stored", x1: x(t), x2: x(t), y1: 0, y2: HEIGHT })),
    lane.trips.filter(({ from, to }) => isSeen(to ?? from)).map(({ from, to }) => tripOf({ from, to, half, x, begins, ends })),
    streams ? lane.heard.filter(({ t }) => isSeen(t)).map(({ t }) =>
      drawn("path", { class: "trip", d: `M${x(t - half)} ${BOTTOM} L${x(t)} ${TOP}` })) : null,
    lane.pings.filter(isSeen).map(t => drawn("path", { class: "ping", d: `M${x(t - half)} ${BOTTOM} L${x(t)} ${TOP}` })),
    lane.heard.filter(({ t }) => isSeen(t)).map(({ t }) => drawn("path", { class: "heard", d: `M${x(t)} ${TOP} h.01` })));
}

/** Out, a wait at the other end, and back. */
function tripOf({ from, to, half, x, begins, ends }) {
  const out = `M${x(from)} ${begins} L${x(from + half)} ${ends}`;
  const back = to === null ? `H${WIDTH}` : `H${x(Math.max(from + half, to - half))} L${x(to)} ${begins}`;
  return drawn("path", { class: "trip", d: `${out} ${back}` });
}

const summary = ({ requests, heard, up, down }) => `${requests} requests, ${heard.length} messages heard of, ${up + down} bytes`;
