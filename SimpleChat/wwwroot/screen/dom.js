// Building the page out of elements. Text is always text: nothing here, or anywhere, makes HTML out of a string.

import { hueOf, initialOf } from "../state/names.js";

export const $ = id => document.getElementById(id);

/** element("p", {class: "help", hidden: true}, "text", child) */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function")
      made.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? "" : value);
  }

  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

/** The circle with somebody's initial, in a colour that the name always has. */
export function avatar(name) {
  const circle = element("span", { class: "avatar", "aria-hidden": "true" }, initialOf(name));
  circle.style.setProperty("--hue", hueOf(name));
  return circle;
}

/** Sets a text only where it is another one: live regions speak when they are touched. */
export function say(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

/** Makes the parent's children be exactly these, moving and dropping as little as possible, so that focus and scroll stay. */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) {
    if (!wanted.has(child))
      child.remove();
  }

  let next = parent.firstElementChild;
  for (const child of children) {
    if (child === next)
      next = next.nextElementSibling;
    else
      parent.insertBefore(child, next);
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const exactClock = new Intl.DateTimeFormat(undefined,
  { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** "99+" is enough of anything unread. */
export const countOf = unread => unread >= 100 ? "99+" : String(unread);

/** Times are the reader's: zone, and way of writing. */
export const timeOf = time => clock.format(time);
export const exactTimeOf = time => exactClock.format(time);

/** A day's first millisecond here, and what the day is called. A day has 23 to 25 hours. */
let known = { from: 0, to: 0, name: "", at: 0 };

/** The name of a time's day. Most times asked for in a row are of one day. */
export function dayOf(time) {
  if (time >= known.from && time < known.to && Date.now() - known.at < 1_000)
    return known.name;
  const from = new Date(time).setHours(0, 0, 0, 0);
  const to = new Date(from).setDate(new Date(from).getDate() + 1);
  const today = new Date().setHours(0, 0, 0, 0);
  const name = from === today ? "Today" : to === today ? "Yesterday" : date.format(time);
  known = { from, to, name, at: Date.now() };
  return name;
}

export const timeOrDay = time => dayOf(time) === "Today" ? timeOf(time) : shortDate.format(time);
