// Building the page out of elements. Text is always text: nothing here, or anywhere, makes HTML out of a string.

export const $ = id => document.getElementById(id);

/**
 * element("p", {class: "help", hidden: true}, "text", child): a function as an attribute is a listener; null, undefined and false
 * are left out.
 */
export const element = (name, attributes, ...children) => built(document.createElement(name), attributes, children);

const SVG = "http://www.w3.org/2000/svg";

/** The same for a drawing. */
export const drawn = (name, attributes, ...children) => built(document.createElementNS(SVG, name), attributes, children);

function built(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function")
      node.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(key, value === true ? "" : value);
  }

  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets a text only where it is another one: live regions speak when they are touched. */
export function say(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

/** Replaces the children only where they would be others, so that focus and selection stay. Made for small parts without inputs. */
export function show(parent, ...children) {
  const wanted = children.flat(Infinity).filter(Boolean);
  const isSame = parent.childNodes.length === wanted.length && wanted.every((node, at) => node.isEqualNode(parent.childNodes[at]));
  if (!isSame)
    parent.replaceChildren(...wanted);
}

/** A button of the Lab: its label, and the key that does the same. */
export function button(label, { key, ...attributes } = {}) {
  return element("button", { type: "button", ...attributes },
    element("span", {}, label), key ? element("kbd", { "aria-hidden": "true" }, key) : null);
}

/** What a dialog begins with: its title, which it is labelled by, and a button to close it. */
export const headOf = (dialog, title) => element("header", {},
  element("h2", { id: `${dialog.id}-title` }, title), button("Close", { key: "esc", class: "quiet", click: () => dialog.close() }));

/** "0 ms", "812 ms", "2.1 s": since the run began, or how long something took. */
export const timeOf = milliseconds => milliseconds < 1_000 ? `${Math.round(milliseconds)} ms`
  : `${(milliseconds / 1000).toFixed(milliseconds < 100_000 ? 1 : 0)} s`;

/** Not more than so many characters, for a narrow place. */
export const short = (text, length) => text.length > length ? `${text.slice(0, length - 1)}…` : text;

/** One rendering a frame, however much has changed. A hidden page has no frames: a timer takes their place. */
export function eachFrame(render) {
  let [frame, timer] = [null, null];
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = timer = null;
    render();
  };
  return () => {
    frame ??= requestAnimationFrame(run);
    timer ??= setTimeout(run, 200);
  };
}
