// Runs before all else, and is no module: if one of the modules does not load, none of them runs, and nobody says so. For that the
// network only has to change meanwhile (Chromium: net::ERR_NETWORK_CHANGED). This says it, and loads the page again.
{
  const FIRST = 1_000; // milliseconds; doubles with each load in a row that was not whole
  const LONGEST = 60_000;
  const before = history.state?.unwholeLoads ?? 0; // in a row, in this tab; a reload keeps it
  const remember = unwholeLoads => history.replaceState({ ...history.state, unwholeLoads }, "");
  let isWhole = true;

  /** Waits for the server: without it the browser would show a page of its own, from which no script leads back. */
  const loadAgain = async () => {
    try {
      await fetch(location.href, { cache: "no-store" });
      location.reload();
    } catch {
      setTimeout(loadAgain, FIRST);
    }
  };

  addEventListener("error", ({ target }) => {
    if (!isWhole || !target.matches?.("script"))
      return;
    isWhole = false;
    remember(before + 1);
    setTimeout(loadAgain, Math.min(LONGEST, FIRST * 2 ** before));
  }, { capture: true });
  addEventListener("load", () => {
    document.getElementById("not-whole").hidden = isWhole;
    if (isWhole && before > 0)
      remember(0);
  });
}
