// The byte lens: the bits of a frame's head, its mask, and its payload, unmasked byte by byte.

import { button, element, say } from "../dom.js";
import { characterOf, frameOf, fromBase64, hex, OPCODES, unmasked } from "./frame.js";

const SHOWN = 72; // bytes of the payload: what fits in three rows

/** The lens of a `frame` entry: its parts for the dialog. */
export function bytesLens({ bytes, who, way, length }) {
  const frame = frameOf(fromBase64(bytes));
  const title = `${way === "up" ? `From ${who} to the server` : `From the server to ${who}`}: a frame of ${length} bytes`;
  return { title, parts: [headOf(frame), payloadOf(frame)] };
}

function headOf(frame) {
  const { first, second, fin, rsv, opcode, isMasked, short, extended, mask, length } = frame;
  return element("div", { class: "head" },
    byteOf(hex(first), [
      [String(fin), "FIN", fin ? "the last piece of the message" : "more pieces follow"],
      [rsv.toString(2).padStart(3, "0"), "RSV", rsv ? "a reserved bit is set: the server must fail the connection" : "reserved"],
      [opcode.toString(2).padStart(4, "0"), "opcode", `${opcode}: ${OPCODES[opcode] ?? "unknown"}`],
    ], "§5.2"),
    byteOf(hex(second), [
      [isMasked ? "1" : "0", "MASK", isMasked ? "masked: clients always are" : "not masked: servers never are (§5.1)"],
      [short.toString(2).padStart(7, "0"), "length",
        short < 126 ? `${short} bytes` : `${short}: the length is in the next ${extended.length} bytes`],
    ], "§5.2"),
    extended.length === 0 ? null : byteOf([...extended].map(hex).join(" "), [[String(length), "extended length", "big-endian"]], "§5.2"),
    mask ? byteOf([...mask].map(hex).join(" "), [
      ["4 bytes", "masking key", "new for each frame, so that no proxy mistakes a payload for a request"],
    ], "§5.3") : null);
}

const byteOf = (bytes, fields, section) => element("div", { class: "byte" },
  element("b", { class: "mono" }, bytes),
  element("span", { class: "fields" }, fields.map(([bits, name, meaning]) =>
    element("span", {}, element("code", {}, bits), " ", element("b", {}, name), ` ${meaning}`))),
  element("small", {}, section));

function payloadOf(frame) {
  const plain = unmasked(frame);
  const cells = [...frame.payload.slice(0, SHOWN)].map(byte => ({
    node: element("span", { class: "cell" }, element("code", {}, hex(byte)), element("b", {}, "")), byte,
  }));
  const sum = element("p", { class: "sum mono" });
  const text = element("p", { class: "text mono" });
  const whole = frame.payload.length;
  const slider = element("input", {
    type: "range", min: 0, max: whole, value: frame.mask ? 0 : whole, hidden: !frame.mask, "aria-label": "How many bytes are unmasked",
  });
  const show = () => {
    const count = Number(slider.value);
    cells.forEach(({ node }, at) => {
      node.dataset.done = String(at < count);
      say(node.lastElementChild, at < count ? characterOf(plain[at]) : "");
    });
    say(sum, !frame.mask ? "A server’s payload is not masked: it can be read as it is."
      : count === 0 ? "Move the slider (→): each byte of the payload is XORed with one byte of the key, in turn."
      : sumOf(frame, plain, count - 1));
    say(text, meaningOf(frame, plain.slice(0, count)));
  };
  slider.addEventListener("input", show);
  show();
  const all = button("Unmask all", { class: "quiet", hidden: !frame.mask, click: () => {
    slider.value = slider.max;
    show();
  } });
  const cut = whole < frame.length ? ` The record keeps the first ${whole}.` : "";
  return element("div", { class: "payload" },
    element("h3", {}, `Payload: ${frame.length} bytes.${cut}`),
    element("div", { class: "cells" }, cells.map(({ node }) => node), whole > SHOWN ? element("span", { class: "cell" }, "…") : null),
    element("div", { class: "mask-row" }, slider, all), sum, text);
}

const sumOf = ({ payload, mask }, plain, at) =>
  `byte ${at + 1}: ${hex(payload[at])} ⊕ ${hex(mask[at % 4])} = ${hex(plain[at])}  ${characterOf(plain[at])}`;

/** A close frame begins with its code (section 5.5.1); the others hold text here. */
function meaningOf({ opcode }, plain) {
  if (opcode === 8 && plain.length >= 2)
    return `close code ${plain[0] * 256 + plain[1]} ${new TextDecoder().decode(plain.slice(2))}`;
  return new TextDecoder().decode(plain);
}
