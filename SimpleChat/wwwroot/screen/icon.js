// A user's icon, for the tab and for notifications: the bubble in the user's colour, with the initial in it.

import { hueOf, initialOf } from "../state/names.js";

const BUBBLE = "M4 1h16a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3h-8l-5 4.5V19H4a3 3 0 0 1-3-3V4a3 3 0 0 1 3-3z";
const TEXT = 'x="12" y="15.2" text-anchor="middle" font-family="system-ui, sans-serif" font-weight="700" font-size="15" fill="#fff"';
const DOT = '<circle cx="18.5" cy="5.5" r="5.5" fill="#d4322a"/>';

/** An SVG as a data URL (RFC 2397). @param name A user id: it has no character that means something in XML. */
export function iconOf(name, hasUnread = false) {
  const bubble = `<path fill="oklch(.47 .13 ${hueOf(name)})" d="${BUBBLE}"/><text ${TEXT}>${initialOf(name)}</text>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">${bubble}${hasUnread ? DOT : ""}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
