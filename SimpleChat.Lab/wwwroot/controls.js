// The page's buttons and keys, and what they do.

import { $ } from "./dom.js";
import { listenToKeys, showKeys } from "./keys.js";

/**
 * @param does {back, forward, home, end, space: through the run; slow(ms), ways, fresh, choose, save, open;
 *   panes: whatever has switches with keys of its own; cables: alice's and bob's}
 */
export function listen(does) {
  const buttons = {
    back: does.back, forward: does.forward, pause: does.space, end: does.end, help: showKeys, choose: does.choose, "ways-toggle": does.ways,
    fresh: does.fresh,
  };
  for (const [id, press] of Object.entries(buttons))
    $(id).addEventListener("click", press);
  const slow = $("slow");
  let pace = null; // the one that was chosen last; the record may not have told of it yet
  const choose = at => {
    pace = at;
    does.slow(Number(slow.options[at].value));
  };
  slow.addEventListener("change", () => choose(slow.selectedIndex));
  const letters = {
    a: () => $("alice-text").focus(), b: () => $("bob-text").focus(), i: does.choose, n: () => $("press").click(),
    e: () => $("look").hidden || $("look").click(),
    t: () => choose(((pace ?? slow.selectedIndex) + 1) % slow.options.length), v: does.ways,
    r: () => $("run").click(), w: does.save, o: does.open, "?": showKeys,
    g: () => $("bob-garbage-open").click(), G: () => $("alice-garbage-open").click(),
    y: () => $("bob-http-open").click(), Y: () => $("alice-http-open").click(),
  };
  const [alice, bob] = does.cables;
  const press = key => {
    if (letters[key])
      return letters[key](), true;
    return does.panes.some(pane => pane.press(key)) || (key === key.toUpperCase() ? alice : bob).press(key.toLowerCase());
  };
  listenToKeys({ ...does, press });
}
