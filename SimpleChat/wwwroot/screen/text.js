// What a message says, as elements: links, code, emoji. Only ever out of text; nothing in a message can become anything else.

import { element } from "./dom.js";

const FENCE = /```[\w+#-]*\n?([^]*?)```/g;
const INLINE = /`([^`\n]+)`|\bhttps?:\/\/[^\s<>"`]+/g;
const EMOJI = /^\s*(?:\p{RGI_Emoji}\s*){1,5}$/v;
const SEEN = /[^\p{Cc}\p{Cf}\p{Z}\uFE00-\uFE0F\u034F\u115F\u1160\u2800\u3164\uFFA0]/u;

/** Whether there is anything in it that can be seen. */
export const isVisible = text => SEEN.test(text);

/** The element with a message's text in it. */
export function body(text) {
  if (!isVisible(text))
    return element("span", { class: "body nothing" }, `(${[...text].length} characters that cannot be seen)`);
  if (EMOJI.test(text))
    return element("span", { class: "body emoji" }, text);
  return element("span", { class: "body" }, ...fenced(text));
}

function fenced(text) {
  if (!text.includes("`") && !text.includes("://"))
    return [text];
  return split(text, FENCE, inline, ([, code]) => block(code.replace(/\n$/, "")));
}

const inline = text => split(text, INLINE, plain => [plain],
  ([whole, code]) => code === undefined ? link(whole) : element("code", {}, code));

/** The text between the matches by one function, the matches by another. */
function split(text, pattern, between, match) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > at)
      parts.push(...between(text.slice(at, found.index)));
    parts.push(...[match(found)].flat());
    at = found.index + found[0].length;
  }

  return at < text.length ? [...parts, ...between(text.slice(at))] : parts;
}

/** A link is shown whole: one sees where it leads. A full stop or a bracket after it is not part of it. */
function link(found) {
  const ends = /[.,;:!?'*_]+$|\)+$/;
  let address = found;
  while (ends.test(address) && !(address.endsWith(")") && address.split("(").length >= address.split(")").length))
    address = address.replace(ends, "");
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
