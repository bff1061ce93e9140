// A person's cable: a picture of it with what lies on it, and the switches.

import { $, button, element, say, show } from "../dom.js";

const DELAY = 2_000; // milliseconds

/** What can be lost of each person's: the frame, what it is called on the switch, what it is, and the key, which is shifted for alice. */
const LOSE = {
  alice: [
    ["sent", "answer", "the next “sent”: the server’s answer that her message is stored", "l"],
    ["send", "message", "the next “send”: a message of hers, on its way to the server", "m"],
  ],
  bob: [
    ["ack", "ack", "the next “ack”: bob’s word that he has the message", "l"],
    ["message", "message", "the next “message”: what the server pushes to him", "m"],
  ],
};

export const GARBAGE = [
  ["json", "Text that is no JSON"], ["binary", "A binary frame"], ["utf8", "Text that is no UTF-8"],
  ["rsv", "A reserved bit that is set"], ["huge", "A message of a megabyte"],
];

export class CablePane {
  #who;
  #wire = element("div", { class: "wire" });
  #switches;

  /** @param act Takes a fault: {who, what}. */
  constructor(who, act) {
    this.#who = who;
    const switches = this.#switches = [
      this.#switch("Cut", "c", s => s.isCut, isOn => act({ who, what: isOn ? "plug" : "cut" })),
      this.#switch("Hold", "h", s => s.isHeld, isOn => act({ who, what: isOn ? "release" : "hold" })),
      this.#switch("Delay 2 s", "d", s => s.delay > 0, isOn => act({ who, what: "delay", ms: isOn ? 0 : DELAY })),
      ...LOSE[who].map(([frame, name, title, key]) => this.#switch(`Lose ${name}`, key, s => s.lose.has(frame),
        isOn => isOn || act({ who, what: "lose", frame }), title)),
      this.#switch("Stop reading", "x", s => s.isDeaf, isOn => act({ who, what: isOn ? "read" : "stop-reading" })),
    ];
    const menu = element("div", { class: "menu", popover: "auto", id: `${who}-garbage` },
      element("h2", {}, `Put on ${who}’s line`), GARBAGE.map(([kind, label], at) => button(label, {
        class: "quiet", autofocus: at === 0, click: () => {
          menu.hidePopover();
          act({ who, what: "garbage", kind });
        },
      })));
    const garbage = button("Garbage", { key: keyOf(who, "g"), class: "quiet", popovertarget: menu.id, id: `${who}-garbage-open` });
    $(`${who}-cable`).append(this.#wire, ...switches.map(({ node }) => node), garbage);
    document.body.append(menu);
  }

  show({ cables, onCable, isPaused }, isLive) {
    const cable = cables[this.#who];
    const waiting = [...onCable.values()].filter(({ who }) => who === this.#who);
    const [state, words] = cable.isCut ? ["cut", "cut"] : cable.isHeld ? ["held", "held"] : cable.isDeaf ? ["held", "not read"]
      : isPaused ? ["held", "paused"] : cable.delay ? ["held", `${cable.delay / 1000} s slow`]
      : ["whole", waiting.length > 0 ? "" : "cable"];
    this.#wire.dataset.state = state;
    show(this.#wire, words ? element("span", { class: "is" }, words) : null, waiting.slice(0, 2).map(frame => parcelOf(this.#who, frame)),
      waiting.length > 2 ? element("span", { class: "parcel" }, `${waiting.length - 2} more`) : null);
    for (const { node, label, isThrown } of this.#switches) {
      node.setAttribute("aria-pressed", String(isThrown(cable)));
      node.disabled = !isLive;
      if (label === "Cut")
        say(node.firstElementChild, cable.isCut ? "Plug in" : "Cut");
    }

    $(`${this.#who}-garbage-open`).disabled = !isLive;
  }

  /** Throws the switch of this key. False if there is none. */
  press(key) {
    const found = this.#switches.find(one => one.key === key);
    found?.node.click();
    return found !== undefined;
  }

  #switch(label, key, isThrown, act, title) {
    const node = button(label, { key: keyOf(this.#who, key), class: "quiet thrown", "aria-pressed": "false", "data-switch": label, title });
    node.addEventListener("click", () => act(node.getAttribute("aria-pressed") === "true"));
    return { node, label, key, isThrown };
  }
}

/** Bob's keys are small letters: most happens to him. Alice's are the same, shifted. */
const keyOf = (who, key) => who === "alice" ? key.toUpperCase() : key;

/** Which way it goes: alice's server is on the right, bob's on the left. */
function parcelOf(who, { way, what, id, ids }) {
  const isRightwards = (way === "up") === (who === "alice");
  const name = `${what} ${id ?? ids?.join(" ") ?? ""}`.trim();
  return element("span", { class: "parcel", title: name }, isRightwards ? `${name} ▸` : `◂ ${name}`);
}
