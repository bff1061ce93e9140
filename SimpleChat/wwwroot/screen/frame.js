// One rendering a frame, however much has changed, and never more than a third of the time: the rest is for what comes and what is typed.
// A hidden page has no frames: a timer takes their place.

const WITHOUT_FRAMES = 200; // milliseconds

/**
 * Returns a function that asks for the rendering; asking again before it has come changes nothing.
 * @param leastRest milliseconds between two renderings, for what nobody reads so fast
 */
export function eachFrame(render, leastRest = 0) {
  let [frame, timer, rest] = [null, null, null];
  let restUntil = 0;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = timer = rest = null;
    const started = performance.now();
    render();
    const ended = performance.now();
    restUntil = ended + Math.max(leastRest, 2 * (ended - started));
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
