// What is seen of the page when it is not looked at: its title, its icon, and, for those who asked for them, notifications.

import { $, countOf } from "./dom.js";
import { iconOf } from "./icon.js";

const NOTIFY_EVERY = 3_000; // milliseconds, for each conversation

/** The same number in every tab: they share what was read. */
export function showUnread(user, unread) {
  const title = `${unread > 0 ? `(${countOf(unread)}) ` : ""}${user} – SimpleChat`;
  if (document.title !== title)
    document.title = title;
  const icon = iconOf(user, unread > 0);
  if ($("icon").getAttribute("href") !== icon)
    $("icon").href = icon;
}

/** Notifications are asked for by a button, never by themselves. */
export class Notifications {
  #storage;
  #open;
  #isOn = false;
  #notifiedAt = new Map(); // by name

  /** @param open Opens a conversation, by its name. */
  constructor(storage, open) {
    this.#storage = storage;
    this.#open = open;
    $("notify").hidden = !("Notification" in window);
    $("notify").addEventListener("click", () => void this.#toggle());
    storage.watch("notify", () => this.#show()); // it is turned on and off for all tabs
    this.#show();
  }

  /** A message has come. One that can be read already is not told. */
  arrived(message) {
    const now = performance.now();
    if (!document.hidden || !this.#isOn || now - (this.#notifiedAt.get(message.from) ?? -NOTIFY_EVERY) < NOTIFY_EVERY)
      return;
    this.#notifiedAt.set(message.from, now);
    const note = new Notification(message.from, { body: message.text.slice(0, 200), tag: message.from, icon: iconOf(message.from) });
    note.onclick = () => {
      window.focus();
      this.#open(message.from);
      note.close();
    };
  }

  async #toggle() {
    if (this.#isOn)
      this.#storage.set("notify", "no");
    else if (await Notification.requestPermission() === "granted")
      this.#storage.set("notify", "yes");
    this.#show();
  }

  #show() {
    this.#isOn = this.#storage.get("notify") === "yes" && window.Notification?.permission === "granted";
    $("notify").setAttribute("aria-pressed", String(this.#isOn));
    const isForbidden = window.Notification?.permission === "denied";
    $("notify").title = isForbidden ? "The browser forbids it: allow notifications for this page there." : "";
  }
}
