// Requests to the server, each of them recorded on the wire.

import { Identity } from "./identity.js";
import { wire } from "./wire.js";

const ANSWER_WITHIN = 30; // seconds, beyond those that the server was asked to wait: some networks swallow an answer without a word

/** An address of this server's. Relative to the page, so that a proxy may have put a path before all of it. */
export const here = path => new URL(`.${path}`, document.baseURI);

/**
 * Makes a request. Throws only if no answer came; a refusal is an answer.
 * @returns {status, body, retryAfter}: body is the JSON object, or null; retryAfter is in milliseconds, 0 if the server did not say.
 */
export async function request(identity, method, path, { parameters, body, signal } = {}) {
  const url = identity.url(path, parameters);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const started = performance.now();
  wire.record({ direction: "out", kind: "http", text: `${method} ${Identity.shown(url)}${text ? `\n${text}` : ""}` });
  try {
    const headers = { ...identity.headers, ...(text ? { "Content-Type": "application/json" } : {}) };
    const deadline = AbortSignal.timeout(1_000 * (ANSWER_WITHIN + (parameters?.wait ?? 0)));
    const ended = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const response = await fetch(here(url), { method, headers, body: text, signal: ended, cache: "no-store" });
    const answer = await response.text();
    const took = Math.round(performance.now() - started);
    const head = `${response.status} for ${method} ${path} after ${took} ms`;
    wire.record({ direction: "in", kind: "http", text: answer ? `${head}\n${answer}` : head, body: answer });
    return { status: response.status, body: parse(answer), retryAfter: 1000 * (Number(response.headers.get("Retry-After")) || 0) };
  } catch (error) {
    if (error.name !== "AbortError")
      wire.record({ direction: "note", kind: "http", text: `${method} ${path}: no answer` });
    throw error;
  }
}

/** What a refusal says to people. */
export const reason = answer => answer.body?.detail ?? answer.body?.title ?? `The server answered ${answer.status}.`;

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
