// One rendering a frame, however much has changed. A hidden page has no frames: a timer takes their place.

const WITHOUT_FRAMES = 200; // milliseconds

/** Returns a function that asks for the rendering; asking again before it has come changes nothing. */
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
    timer ??= setTimeout(run, WITHOUT_FRAMES);
  };
}
