// The handshake lens: how the server's accept follows from the client's key, computed here from what the cable saw. A page itself
// never sees the key.

import { element, say } from "../dom.js";
import { hex } from "./frame.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, section 1.3

/** The SHA-1 of the key and the GUID, and its base64. */
export async function acceptOf(key) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + GUID)));
  return { hash, accept: btoa(String.fromCharCode(...hash)) };
}

/** The lens of a `line` entry: its parts for the dialog. */
export function handshakeLens({ who, up = "", down = "" }) {
  const sent = headerOf(up, "Sec-WebSocket-Key");
  const answered = headerOf(down, "Sec-WebSocket-Accept");
  const key = element("input", { id: "lens-key", class: "mono", value: sent ?? "", spellcheck: "false", autocomplete: "off" });
  const sha = element("dd", { class: "mono" });
  const accept = element("dd", { class: "mono" });
  const verdict = element("p", { class: "says", role: "status" });
  const show = async () => {
    const { value } = key;
    const computed = await acceptOf(value);
    if (value !== key.value)
      return; // it was changed meanwhile
    say(sha, [...computed.hash].map(hex).join(" "));
    say(accept, computed.accept);
    const isSame = computed.accept === answered;
    verdict.dataset.tone = isSame ? "good" : "bad";
    say(verdict, answered === null ? "The server has not answered with an accept."
      : isSame ? "✓ The same as the server’s answer. This server has read the key: it speaks WebSocket."
      : "✕ Not the server’s answer: with this key the browser would refuse the connection (§4.1).");
  };
  key.addEventListener("input", () => void show());
  void show();
  return {
    title: `The handshake of ${who}’s line`,
    parts: [
      element("div", { class: "heads" }, headPart("The request", up), headPart("The answer", down)),
      element("dl", { class: "sums" },
        element("dt", {}, element("label", { for: "lens-key" }, "Key: change a letter")), element("dd", {}, key),
        element("dt", {}, "+ the GUID of RFC 6455"), element("dd", { class: "mono" }, GUID),
        element("dt", {}, "SHA-1 of both"), sha,
        element("dt", {}, "in base64"), accept,
        element("dt", {}, "Sec-WebSocket-Accept"), element("dd", { class: "mono" }, answered ?? "none")),
      verdict,
    ],
  };
}

/** A title, and the text below it. */
export const headPart = (title, head) => element("div", {},
  element("h3", {}, title), element("pre", { tabindex: 0, "aria-label": title }, head.trim() || "nothing came"));

const headerOf = (head, name) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, "im").exec(head)?.[1] ?? null;
