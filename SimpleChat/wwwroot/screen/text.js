// What a message says, as elements: links, code, emoji. Only ever out of text; nothing in a message can become anything else.
// A text is as long as the server allows, and anybody may have made it: whatever is done here takes time in proportion to its length.

import { element } from "./dom.js";

const FENCE = /```([^]*?)```\n?/g;
const LANGUAGE = /^[\w+#-]*\n/; // above the code
const INLINE = /`([^`\n]+)`|\bhttps?:\/\/[^\s<>"`\p{Cc}\p{Cf}]+/gu; // what cannot be seen would turn an address around
const EMOJI = /^\s*(?:\p{RGI_Emoji}\s*){1,5}$/v;
const ENDS = new Set(".,;:!?'*_"); // of a sentence: an address has them within, and does not end on one
const LONG = 4_000; // characters that are shown at first
const HIGH = 40; // and lines
const PARTS = 100; // what comes after so many links and pieces of code is plain
const SEEN = /[^\p{Cc}\p{Cf}\p{Z}\uFE00-\uFE0F\u034F\u115F\u1160\u2800\u3164\uFFA0]/u;

/** Whether there is anything in it that can be seen. */
export const isVisible = text => SEEN.test(text);

/** The element with a message's text in it. */
export function body(text) {
  if (!isVisible(text))
    return element("span", { class: "body nothing" }, `(${[...text].length} characters that cannot be seen)`);
  if (EMOJI.test(text))
    return element("span", { class: "body emoji" }, text);
  const beginning = beginningOf(text);
  const shown = element("span", { class: "body" }, ...fenced(beginning));
  if (beginning.length < text.length) {
    const showAll = () => shown.replaceChildren(...fenced(text));
    shown.append("… ", element("button", { type: "button", class: "more quiet", click: showAll }, "Show all"));
  }

  return shown;
}

function beginningOf(text) {
  let end = text.length > LONG * 1.5 ? LONG : text.length;
  for (let [at, lines] = [text.indexOf("\n"), 1]; at >= 0 && at < end; at = text.indexOf("\n", at + 1), lines++) {
    if (lines === HIGH)
      end = at;
  }

  const isWhole = (text.charCodeAt(end - 1) & 0xfc00) !== 0xd800; // not the first half of a character
  return text.slice(0, isWhole || end === text.length ? end : end - 1);
}

function fenced(text) {
  if (!text.includes("`") && !text.includes("://"))
    return [text];
  return split(text, FENCE, inline, ([, code]) => block(code.replace(LANGUAGE, "").replace(/\n$/, "")));
}

const inline = text => split(text, INLINE, plain => [plain],
  ([whole, code]) => code === undefined ? link(whole) : element("code", {}, code));

/** The text between the matches by one function, the matches by another. */
function split(text, pattern, between, match) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    if (parts.length >= PARTS)
      return [...parts, text.slice(at)];
    if (found.index > at)
      parts.push(...between(text.slice(at, found.index)));
    parts.push(...[match(found)].flat());
    at = found.index + found[0].length;
  }

  return at < text.length ? [...parts, ...between(text.slice(at))] : parts;
}

/** A link is shown whole: one sees where it leads. A full stop or a bracket after it is not part of it. */
function link(found) {
  let tooMany = found.split(")").length - found.split("(").length;
  let end = found.length;
  while (ENDS.has(found[end - 1]) || found[end - 1] === ")" && tooMany-- > 0)
    end--;
  const address = found.slice(0, end);
  if (!URL.canParse(address))
    return found;
  return [
    element("a", { href: new URL(address).href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, address),
    found.slice(address.length),
  ];
}

function block(code) {
  const copy = element("button", { type: "button", class: "quiet copy" }, "Copy");
  copy.addEventListener("click", async () => {
    copy.textContent = await navigator.clipboard.writeText(code).then(() => "Copied", () => "Not allowed");
  });
  const shown = element("pre", { dir: "ltr", tabindex: 0, role: "group", "aria-label": "Code" }, element("code", {}, code));
  return element("span", { class: "block" }, shown, copy);
}
