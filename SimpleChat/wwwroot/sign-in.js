// Signing in and out: by name where the server takes one on trust (Development), with a token elsewhere.

import { whyNot } from "./state/names.js";
import { session } from "./state/storage.js";
import { here } from "./line/http.js";
import { Identity } from "./line/identity.js";
import { $, say } from "./screen/dom.js";

const TOKEN = "token"; // rows of this tab's storage
const SIGNED_OUT = "signed-out"; // who has: Back does not sign anybody in again
const PROBLEM = "problem"; // why one was signed out
const PATIENCE = 5_000; // milliseconds: a page that waits for a silent server shows nothing

/** Resolves to who has signed in: at once where that is known already. */
export async function signedIn() {
  const token = session.get(TOKEN);
  const known = token ? Identity.fromToken(token) : null;
  if (known)
    return known;
  const user = new URLSearchParams(location.search).get("user");
  const byName = await isDevelopment();
  const problem = user === null ? null : whyNot(user);
  if (byName && user !== null && problem === null && session.get(SIGNED_OUT) !== user)
    return new Identity(user);

  $("status").hidden = true;
  $("sign-in").hidden = false;
  say($("sign-in-problem"), session.get(PROBLEM) ?? (byName ? problem : null) ?? "");
  session.remove(PROBLEM);
  return byName ? byItsName(user ?? "") : withAToken();
}

/** Goes on at the address with the name in it, which is what other tabs are opened with. */
function byItsName(user) {
  $("name-form").hidden = false;
  $("name").value = user;
  $("name").focus();
  return new Promise(() => $("name-form").onsubmit = event => {
    event.preventDefault();
    const name = $("name").value.trim();
    const problem = whyNot(name);
    say($("sign-in-problem"), problem ?? "");
    if (problem !== null)
      return;
    session.remove(SIGNED_OUT);
    location.assign(`?${new URLSearchParams({ user: name })}`);
  });
}

function withAToken() {
  $("token-form").hidden = false;
  $("token").focus();
  return new Promise(done => $("token-form").onsubmit = event => {
    event.preventDefault();
    const identity = Identity.fromToken($("token").value);
    if (!identity)
      return say($("sign-in-problem"), "That is no JWT with a “sub” in it.");
    session.set(TOKEN, $("token").value.trim());
    session.remove(SIGNED_OUT);
    $("token").value = "";
    $("sign-in").hidden = true;
    done(identity);
  });
}

/** In Development a name is enough; elsewhere the answer is 401. Without an answer, the line will try and say what is wrong. */
async function isDevelopment() {
  try {
    const answer = await fetch(
      here("/users/someone/presence?user=someone"), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    return answer.status !== 401;
  } catch {
    return true;
  }
}

/** Nothing of the user stays on the screen, in this tab's storage, or where Back leads. */
export function leave(user, why) {
  session.remove(TOKEN);
  session.set(SIGNED_OUT, user);
  if (why)
    session.set(PROBLEM, why);
  document.body.replaceChildren();
  addEventListener("pageshow", event => event.persisted && location.reload());
  location.assign(here("/"));
}

/** Other tabs of this browser sign out with this one. */
export class SignOutEverywhere {
  #channel = null;

  constructor(user, heard) {
    try {
      this.#channel = new BroadcastChannel(`simplechat.${user}`);
      this.#channel.onmessage = heard;
    } catch {
      // Storage is blocked, and this with it: each tab is on its own.
    }
  }

  tell() {
    this.#channel?.postMessage("signed out");
  }
}
