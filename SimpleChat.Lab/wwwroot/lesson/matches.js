// What a lesson waits for: a pattern that an entry of the record fulfils.

/** Whether each part of the pattern is found in the value. */
export function matches(pattern, value) {
  if (Array.isArray(pattern))
    return Array.isArray(value) && pattern.every(part => value.some(other => matches(part, other)));
  if (pattern !== null && typeof pattern === "object")
    return value !== null && typeof value === "object" && Object.entries(pattern).every(([key, part]) => matches(part, value[key]));
  return pattern === value;
}

/** Whether each of the patterns, one or a list, is fulfilled by some entry from an index on. */
export const fulfilled = (until, entries, from) =>
  [until].flat().filter(Boolean).every(pattern => entries.slice(from).some(entry => matches(pattern, entry)));
