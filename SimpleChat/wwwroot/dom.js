// Building the page out of elements. Text is always text: nothing here, or anywhere, makes HTML out of a string.

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

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exactClock = new Intl.DateTimeFormat(undefined,
  { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Times are the reader's: zone, and way of writing. */
export const timeOf = time => clock.format(time);
export const exactTimeOf = time => exactClock.format(time);
export const dayKey = time => new Date(time).toDateString();

export function dayOf(time) {
  const today = new Date();
  const yesterday = new Date();
  yesterday.setDate(today.getDate() - 1);
  if (dayKey(time) === dayKey(today))
    return "Today";
  return dayKey(time) === dayKey(yesterday) ? "Yesterday" : date.format(time);
}

export const timeOrDay = time => dayKey(time) === dayKey(Date.now()) ? timeOf(time) : shortDate.format(time);
