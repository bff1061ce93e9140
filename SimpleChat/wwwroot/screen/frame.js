// One rendering a frame, however much has changed, and never more than half of the time: the other half is for what the user types.
// A hidden page has no frames: a timer takes their place.

const WITHOUT_FRAMES = 200; // milliseconds

/** Returns a function that asks for the rendering; asking again before it has come changes nothing. */
export function eachFrame(render) {
  let [frame, timer, rest] = [null, null, null];
  let restUntil = 0;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = timer = rest = null;
    const started = performance.now();
    render();
    restUntil = 2 * performance.now() - started;
  };
  const soon = () => {
    frame ??= requestAnimationFrame(run);
    timer ??= setTimeout(run, WITHOUT_FRAMES);
  };
  return () => {
    const left = restUntil - performance.now();
    if (left < 2)
      soon();
    else if (frame === null)
      rest ??= setTimeout(soon, left);
  };
}
