// The header's tools, and the question before one signs out with something unsent.

import { local } from "../state/storage.js";
import { $, avatar, element, say } from "./dom.js";

/** @param actions {signOut(), toggleCompare()} */
export function showTools(identity, actions) {
  const { user } = identity;
  const suggested = user === "bob" ? "alice" : "bob";
  const second = identity.hasToken ? "." : `?${new URLSearchParams({ user: suggested, with: user })}`;
  $("sign-in").hidden = true;
  for (const part of ["chat", "tools", "who"])
    $(part).hidden = false;
  $("me").textContent = user;
  $("who").prepend(avatar(user));
  document.querySelectorAll(".suggested").forEach(name => name.textContent = suggested);
  $("second-user").href = second;
  $("second-user-here").href = second;
  $("sign-out").onclick = actions.signOut;
  $("compare-toggle").onclick = actions.toggleCompare;
  $("compare-close").onclick = actions.toggleCompare;
  const showSize = () => {
    const isLarge = local.get("large") === "yes";
    document.documentElement.classList.toggle("large", isLarge);
    $("large").setAttribute("aria-pressed", String(isLarge));
  };
  $("large").onclick = () => {
    local.set("large", local.get("large") === "yes" ? "no" : "yes");
    showSize();
  };
  showSize();
}

/** Asks whether what was not sent may be dropped. Resolves to the answer. */
export function mayDrop(unsent) {
  const [dialog, count] = [$("unsent"), unsent.length];
  say($("unsent-count"), count === 1 ? "One message was not sent yet:" : `${count} messages were not sent yet:`);
  const row = ({ to, text }) => element("li", { dir: "auto" }, `${to}: ${text.slice(0, 80)}`);
  $("unsent-list").replaceChildren(...unsent.slice(0, 5).map(row));
  dialog.showModal();
  return new Promise(done => {
    $("unsent-drop").onclick = () => dialog.close("drop");
    $("unsent-stay").onclick = () => dialog.close("stay");
    dialog.onclose = () => done(dialog.returnValue === "drop");
  });
}
