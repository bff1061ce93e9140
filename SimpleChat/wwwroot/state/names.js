// Names of users: which are possible, and which are easily taken for another.

const LONGEST = 128;

/** Why nobody can be called this, for people; null if somebody can. */
export function whyNot(name) {
  if (name.length === 0)
    return "A name has at least one character.";
  if (name.length > LONGEST)
    return `A name has at most ${LONGEST} characters; this one has ${name.length}.`;
  const wrong = /[^A-Za-z0-9._@|:+-]/u.exec(name)?.[0];
  if (wrong === undefined)
    return null;
  const shown = /\s/u.test(wrong) ? "a space" : `“${wrong}”`;
  return `A name cannot have ${shown} in it: only letters A to Z, digits and . _ @ | : + -`;
}

/** One that differs in capital letters alone, out of these; undefined if there is none. */
export const twinOf = (name, others) => others.find(other => other !== name && other.toLowerCase() === name.toLowerCase());

/** The first letter or digit. */
export const initialOf = name => (/[A-Za-z0-9]/.exec(name)?.[0] ?? name[0]).toUpperCase();

/** A hue in degrees, always the same one for the same name (FNV-1a; twelve of them are still told apart). */
export function hueOf(name) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++)
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0;
  return (hash >>> 14) % 12 * 30;
}
