// How long to wait after a failure: the longer, the more there were in a row. The pause taken is a random part of it (full jitter),
// so that a thousand pages do not come back in the same moment after a restart.

const FIRST = 500; // milliseconds; doubles with every failure
const LONGEST = 30_000;

export const pauseAfter = failures => Math.random() * Math.min(LONGEST, FIRST * 2 ** failures);
